// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"fmt"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// What the longest round trips may be due to.
const (
	limitRate = "rate"
	limitCPU  = "cpu"
)

// limit is cpu where the sender stalled, and that is most of the longest round trip.
func (r *Report) limit() string {
	if r.Totals.Stalled == 0 || r.Departure == nil {
		return limitRate
	}
	if r.RoundTrip != nil && 2*r.Departure.Max < r.RoundTrip.Max {
		return limitRate
	}
	return limitCPU
}

// trouble is one thing that went wrong.
type trouble struct{ id, text string }

// Conclude enters the verdict, and what limited the run. It goes last.
func (r *Report) Conclude() {
	r.LimitedBy = r.limit()
	v := Verdict{ID: "answered", OK: true, Text: "every ping was answered"}
	if found := r.troubles(); len(found) > 0 {
		v.ID, v.OK = found[0].id, false
		words := make([]string, len(found))
		for i, t := range found {
			words[i] = t.text
		}
		v.Text = strings.Join(words, "; ")
	}
	if r.Interrupted {
		v.Text += " (interrupted)"
	}
	r.Verdict = v
}

// troubles is everything that a reader of one line has to know, the worst first.
func (r *Report) troubles() (out []trouble) {
	t := &r.Totals
	add := func(id string, n uint64, text string) {
		if n > 0 {
			out = append(out, trouble{id, units.Grouped(n) + " " + text})
		}
	}
	if r.Lost != "" {
		out = append(out, trouble{"lost", r.Lost})
	}
	for _, e := range r.ICMPErrors {
		id := "icmp"
		if e.PortClosed() {
			id = "port_closed"
		}
		out = append(out, trouble{id, e.Sentence()})
	}
	switch {
	case t.Sent == 0:
		out = append(out, trouble{"nothing", "nothing was sent"})
	case t.Answered+t.Late == 0:
		text := fmt.Sprintf("none of %s was answered", units.Plural(int(t.Sent), "ping"))
		if len(out) == 0 {
			text += ": is wsk-xdp echo there?"
		}
		out = append(out, trouble{"unanswered", text})
	case t.Lost > 0:
		text := fmt.Sprintf("%s of %s lost", units.Grouped(t.Lost), units.Plural(int(t.Due), "ping"))
		for _, cause := range recv.Causes(r.Drops) {
			text += fmt.Sprintf(", %s answers dropped here: %s", units.Grouped(r.Drops[cause]), strings.ReplaceAll(cause, "_", " "))
		}
		out = append(out, trouble{"loss", text})
	}
	add("late", t.Late, "answered late")
	if t.Stalled > 0 {
		out = append(out, trouble{"stalled", fmt.Sprintf("the sender stalled %s at %s: %s waited", units.Nanoseconds(r.Departure.Max),
			units.Nanoseconds(t.WorstDue), units.Plural(int(t.Stalled), "ping"))})
	}
	add("failed", t.Failed, "not sent because of an error")
	add("unsent", t.Unsent, "not sent in time")
	if l := r.Load; l != nil && l.fell() {
		out = append(out, trouble{"load", fmt.Sprintf("the load was %s instead of %s", units.PacketRate(l.reached()), l.asked())})
	}
	add("corrupt", t.Corrupt, "came back corrupt")
	add("duplicate", t.Duplicate, "came again")
	if t.Reordered > 0 {
		out = append(out, trouble{"reordered", fmt.Sprintf("%s reordered, by %s at most", units.Grouped(t.Reordered), units.Plural(int(t.Extent), "place"))})
	}
	if r.SlowPath.Sent+r.SlowPath.Failed > 0 {
		out = append(out, trouble{"slow_path", fmt.Sprintf("SLOW PATH: %s went through the kernel's stack",
			units.Plural(int(r.SlowPath.Sent+r.SlowPath.Failed), "send"))})
	}
	return out
}
