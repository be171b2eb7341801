// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"regexp"
	"slices"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
)

// errorReport is the JSON document of a command that could not do what it was asked for: whoever reads standard output
// always finds one document there.
type errorReport struct {
	Schema string `json:"schema"`
	// ID is that of doctor's finding, or a word for the kind: usage, refused, failed.
	ID      string `json:"id"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
	Code    int    `json:"exit_code"`
}

const errorSchema = "wsk-xdp.error/1"

// findingID is how a sentence about one of doctor's findings begins.
var findingID = regexp.MustCompile(`WX-[A-Z-]+-[0-9]+`)

func errorDocument(command string, err error) errorReport {
	r := errorReport{Schema: errorSchema, ID: "failed", Message: err.Error(), Code: exit.Code(err)}
	switch r.Code {
	case exit.Usage:
		r.ID, r.Remedy = "usage", "see "+command+" --help"
	case exit.NotPossible:
		r.ID = "refused"
	}
	if id := findingID.FindString(r.Message); id != "" {
		r.ID, r.Remedy = id, "see wsk-xdp doctor"
	}
	return r
}

// asksForJSON looks at the words themselves, since the error may be that they can't be parsed.
func asksForJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	for i, word := range args {
		switch word {
		case "--json", "--json=true", "--format=json", "--format=ndjson":
			return true
		case "--format":
			if i+1 < len(args) && (args[i+1] == "json" || args[i+1] == "ndjson") {
				return true
			}
		}
	}
	return false
}

// written is a writer that knows whether anything has been written.
type written struct {
	io.Writer
	any bool
}

func (w *written) Write(b []byte) (int, error) {
	w.any = w.any || len(b) > 0
	return w.Writer.Write(b)
}
