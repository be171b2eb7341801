// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"fmt"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Conclude enters the verdict. It goes last.
func (r *Report) Conclude() {
	found := r.troubles()
	v := Verdict{ID: "sent", OK: true, Text: "every packet submitted was completed; nobody looked at what arrived"}
	if r.Config.Engine == EngineXDP {
		v.Text = "every packet was handed to the driver; nobody looked at what became of them"
	}
	if r.Peer != nil {
		v.ID, v.Text = "received", "every packet arrived"
	}
	if len(found) > 0 {
		v.ID, v.OK = found[0].id, false
		words := make([]string, len(found))
		for i, t := range found {
			words[i] = t.text
		}
		v.Text = strings.Join(words, "; ")
	}
	if limit := limitWords[r.LimitedBy]; limit != "" {
		v.Text += "; limited by " + limit
	}
	if r.Interrupted {
		v.Text += " (interrupted)"
	}
	r.Verdict = v
}

// troubles is everything that a reader of one line has to know, the worst first.
func (r *Report) troubles() (out []trouble) {
	t := &r.Totals
	if t.Completed == 0 {
		out = append(out, trouble{"nothing", "nothing was sent"})
	}
	if r.Lost != "" {
		out = append(out, trouble{"lost", r.Lost})
	}
	for _, e := range r.ICMPErrors {
		out = append(out, icmpTrouble(e, ""))
	}
	if r.Warmup != nil && r.Peer == nil && len(r.ICMPErrors) == 0 {
		// Hosts send few errors a second, so that none about the run need not mean that it arrived.
		for _, e := range r.Warmup.ICMPErrors {
			out = append(out, icmpTrouble(e, "before the run: "))
		}
	}
	out = append(out, r.arrivals()...)
	if t.Failed > 0 {
		how := "failed"
		if r.Config.Engine == EngineXDP {
			how = "were not taken by the driver"
		}
		out = append(out, trouble{"failed", fmt.Sprintf("%s of %s packets %s", units.Grouped(t.Failed), units.Grouped(t.Submitted), how)})
	}
	if t.Unfinished > 0 {
		out = append(out, trouble{"unfinished", units.Plural(t.Unfinished, inFlightNoun(r.Config.Engine)) + " did not complete"})
	}
	if r.SlowPath.Sent+r.SlowPath.Failed > 0 {
		out = append(out, trouble{"slow_path", r.slowText()})
	}
	if r.Pacing != nil && r.Pacing.Error != nil && !r.Interrupted && *r.Pacing.Error < rateKept {
		out = append(out, trouble{"rate", "the rate was not reached"})
	}
	return out
}

func icmpTrouble(e icmp.Error, when string) trouble {
	id := "icmp"
	if e.PortClosed() {
		id = "port_closed"
	}
	return trouble{id, when + e.Sentence()}
}

// slowText is the share of the slow path.
func (r *Report) slowText() string {
	completed := r.Totals.Completed
	for _, c := range r.Carried {
		if c.Engine == EngineKernel && completed > 0 {
			return fmt.Sprintf("SLOW PATH: %s of %s packets (%.1f %%) went through the kernel's stack", units.Grouped(c.Packets),
				units.Grouped(completed), 100*float64(c.Packets)/float64(completed))
		}
	}
	return "SLOW PATH: what was sent went through the kernel's stack"
}
