// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Found is a difference that is not on the list.
type Found struct {
	Case *Case
	// WSK and Kernel are what only one side delivered.
	WSK, Kernel []Record
}

// mostShown bounds how many frames and records of a difference are printed.
const mostShown = 12

// Write prints a difference: what it takes to see it again, and what each side delivered.
func (f *Found) Write(w io.Writer) {
	fmt.Fprintf(w, "case %d: %s\n", f.Case.Number, strings.Join(f.Case.What, ", "))
	for i, frame := range f.Case.Frames {
		if i == mostShown {
			fmt.Fprintf(w, "  and %d frames more\n", len(f.Case.Frames)-i)
			break
		}
		fmt.Fprintf(w, "  frame of %4d bytes  %s\n", len(frame), shortHex(frame))
	}
	for _, side := range []struct {
		name    string
		records []Record
	}{{"WSK", f.WSK}, {"kernel", f.Kernel}} {
		for i, r := range side.records {
			if i == mostShown {
				fmt.Fprintf(w, "  and %d more\n", len(side.records)-i)
				break
			}
			fmt.Fprintf(w, "  only %-6s %s: %d bytes from %v to %v, interface %d, TTL %d, TOS %#x\n", side.name, r.Socket, len(r.Payload),
				r.Source, r.Destination, r.Ifindex, r.TTL, r.TOS)
		}
	}
}

// shortHex shows headers and not all of a payload.
func shortHex(b []byte) string {
	const most = 120
	if len(b) <= most {
		return hex.EncodeToString(b)
	}
	return hex.EncodeToString(b[:most]) + "…"
}
