// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io"
	"strings"
)

var marks = map[Level]string{OK: "ok", Note: "note", Warn: "warn", Fail: "FAIL"}

// Write writes the grouped list and the three closing sentences.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	group := ""
	for _, f := range r.Findings {
		if f.Group != group {
			group = f.Group
			title := group
			if group == GroupInterface && r.Interface != "" {
				title += " " + r.Interface
			}
			if group == GroupPath && r.Dst != "" {
				title += " to " + r.Dst
			}
			fmt.Fprintf(&b, "%s\n", title)
		}
		fmt.Fprintf(&b, "  %-4s  %s  [%s]\n", marks[f.Level], f.Title, f.ID)
		if f.Detail != "" && f.Level != OK {
			fmt.Fprintf(&b, "        %s\n", f.Detail)
		}
		if f.Remedy != "" && (f.Level != OK || f.ID == "WX-IFACE-01") {
			fmt.Fprintf(&b, "        → %s\n", f.Remedy)
		}
	}
	fmt.Fprintf(&b, "\nTX: %s\nRX: %s\nZero-copy: %s\nPasses by: %s\n", r.Summary.TX, r.Summary.RX, r.Summary.ZeroCopy,
		r.Summary.PassesBy)
	_, err := io.WriteString(w, b.String())
	return err
}

// CountLine says in a few words how it went.
func (r *Report) CountLine() string {
	return fmt.Sprintf("%d ok, %d notes, %d warnings, %d failures", r.Count(OK), r.Count(Note), r.Count(Warn), r.Count(Fail))
}
