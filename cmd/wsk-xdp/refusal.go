// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"regexp"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
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

// tellError writes an error to standard output where that gets documents or records and has not had the one at the end. The exit code is
// that of the error: that it can't be written changes nothing.
func (a *app) tellError(out written, format output.Format, document errorReport) {
	switch {
	case format == output.Document && !*out.any:
		_ = output.JSON(out, document)
	case format == output.Records && !a.ended:
		_ = output.NewStream(out, format).Fail(errorSchema, document)
	}
}

// formatOf is the form of what standard output is to get.
func formatOf(c *cobra.Command, args []string) output.Format {
	if format := formatOfFlags(c.Flags()); format != output.Human {
		return format
	}
	return formatOfWords(args)
}

// formatOfFlags is what the flags say, those of a file of --config among them, as far as they could be parsed.
func formatOfFlags(fl *pflag.FlagSet) output.Format {
	value := func(name string) string {
		if f := fl.Lookup(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	switch {
	case value("json") == "true" || value("output") == stdoutName || value("format") == "json":
		return output.Document
	case value("format") == "ndjson":
		return output.Records
	}
	return output.Human
}

// formatOfWords looks at the words themselves, since the error may be that they can't be parsed.
func formatOfWords(args []string) output.Format {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	for i, word := range args {
		if (word == "--format" || word == "--output" || word == "-o") && i+1 < len(args) {
			word += "=" + args[i+1]
		}
		switch word {
		case "--json", "--json=true", "--format=json", "--output=-", "-o=-", "-o-":
			return output.Document
		case "--format=ndjson":
			return output.Records
		}
	}
	return output.Human
}

// written is a writer that knows whether anything has been written.
type written struct {
	io.Writer
	any *bool
}

func (w written) Write(b []byte) (int, error) {
	*w.any = *w.any || len(b) > 0
	return w.Writer.Write(b)
}

// Raw is the same over what is below a writer of text.
func (w written) Raw() io.Writer { return written{output.Raw(w.Writer), w.any} }
