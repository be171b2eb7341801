// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/account"
)

// columns of the table.
var columns = []string{"fault", "sent", "ok", "failed", "arrived", "explained by", "unexplained", "pending", "longest", "leaks", "back", "kernel's", "s"}

// Row are the columns of a result.
func (r *Result) Row() []string {
	failed, explained := account.Tally(r.failures()), account.Tally(r.Explained)
	if r.OpenArrived > 0 {
		failed += fmt.Sprintf(" (%d arrived)", r.OpenArrived)
	}
	return []string{
		r.Fault.ID(), fmt.Sprint(r.Sent), fmt.Sprint(r.OK), dash(failed), fmt.Sprint(r.Arrived), dash(explained), fmt.Sprint(r.Unexplained),
		fmt.Sprint(r.Pending), back(r.Longest), fmt.Sprint(len(r.Leaks)), back(r.Back), back(r.KernelBack), fmt.Sprintf("%.1f", r.Took.Seconds()),
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func back(d time.Duration) string {
	switch {
	case d < 0:
		return "-"
	case d < time.Millisecond:
		return "0 ms"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// failures shortens the names of statuses.
func (r *Result) failures() map[string]int {
	out := make(map[string]int, len(r.Verdict.Failed))
	for name, n := range r.Verdict.Failed {
		out[strings.TrimPrefix(name, "STATUS_")] = n
	}
	return out
}

// Line is a result in one line for a terminal.
func (r *Result) Line() string {
	verdict := "ok  "
	if r.Failed() {
		verdict = "FAIL"
	}
	c := r.Row()
	return fmt.Sprintf("%s %-44s sent %6s ok %6s arrived %6s unexplained %s pending %s longest %s leaks %s back %s (kernel %s) %s s; failed: %s; explained: %s",
		verdict, c[0], c[1], c[2], c[4], c[6], c[7], c[8], c[9], c[10], c[11], c[12], c[3], c[5])
}

// Details are lines that say what is wrong.
func (r *Result) Details() (out []string) {
	for _, p := range r.Problems {
		out = append(out, fmt.Sprintf("datagram %d: %s", p.Seq, p.What))
	}
	if r.Unexplained > len(r.Problems) {
		out = append(out, fmt.Sprintf("and %d more", r.Unexplained-len(r.Problems)))
	}
	if r.Pending > 0 {
		out = append(out, fmt.Sprintf("%d IRPs are pending", r.Pending))
	}
	for _, w := range r.Wrong {
		out = append(out, strings.Split(w, "\n")...)
	}
	for _, l := range r.Leaks {
		first, _, _ := strings.Cut(l, "\n\n")
		out = append(out, "left: "+strings.ReplaceAll(first, "\n", " | "))
	}
	return out
}

// Markdown writes the results as docs/faults.md.
func Markdown(w io.Writer, results []Result, kernel string) error {
	var b strings.Builder
	b.WriteString(`# Faults

What becomes of each datagram when what the datapath stands on breaks: the output of ` + "`make faults RECORD=1`" + ` on Linux ` + kernel + `.

Each line is a laboratory of its own (two namespaces, veth), a flow through AF_XDP, and a fault that happens and ends while it flows.
"ok" were sent with STATUS_SUCCESS, or by the kernel's socket where the datapath receives; "explained by" is who says that he has dropped
what did not arrive; "unexplained" what nobody says anything of. "longest" is how long a send was pending at most; "back" is how long
after the fault the next datagram arrived, and beside it how long that of a kernel socket through the same interfaces took. ` + "`testenv/faults`" + ` has the rules.

`)
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	failed := 0
	for i := range results {
		row := results[i].Row()
		if results[i].Failed() {
			failed++
			row[0] = "**" + row[0] + "**"
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintf(&b, "\n%d faults, %d failed.\n", len(results), failed)
	for i := range results {
		if r := &results[i]; r.Failed() {
			fmt.Fprintf(&b, "\n**%s**: %s\n\n", r.Fault.ID(), r.Fault.About)
			for _, d := range r.Details() {
				fmt.Fprintf(&b, "- %s\n", d)
			}
		}
	}
	b.WriteString("\n## What happens\n\n")
	for i := range results {
		fmt.Fprintf(&b, "- %s: %s\n", results[i].Fault.ID(), results[i].Fault.About)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
