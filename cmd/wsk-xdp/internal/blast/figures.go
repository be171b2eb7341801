// SPDX-License-Identifier: Apache-2.0

package blast

import "github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/failif"

// Judge holds the figures of the report to conditions of which none may hold. It goes behind Conclude.
func (r *Report) Judge(l failif.List) {
	t := &r.Totals
	f := failif.Figures{
		All: t.Submitted, PPS: t.CompletedPPS, Rate: Rate(r.Config.MicroRate).PerSecond(),
		Counts: map[string]uint64{"failed": t.Failed, "slow_path": 0}, Times: map[string]int64{},
	}
	for _, c := range r.Carried {
		if c.Engine == EngineKernel {
			f.Counts["slow_path"] = c.Packets
		}
	}
	if r.Pacing != nil {
		f.Counts["forfeited"] = r.Pacing.Forfeited
	}
	if p := r.Peer; p != nil {
		f.Counts["loss"], f.Counts["duplicate"], f.Counts["reordered"], f.Counts["late"], f.Counts["corrupt"] = p.Lost, p.Duplicate, p.Reordered,
			p.Late, p.Corrupt
	}
	if l := r.Latency; l != nil {
		f.Times = map[string]int64{"p50": l.P50, "p90": l.P90, "p99": l.P99, "p99.9": l.P999, "max": l.Max}
	}
	r.FailIf = l.Check(f)
}
