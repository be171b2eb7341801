// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Plan is what is about to be sent, in one line of the start block.
func (r *Report) Plan() string {
	c := &r.Config
	size := fmt.Sprintf("payload %d B in %s", c.Payload, units.Plural(c.Frames, "fragment"))
	if c.Frame > 0 {
		size = fmt.Sprintf("frames %d B (payload %d B)", c.Frame, c.Payload)
	}
	rate := "as fast as IRPs come back"
	if !c.RateMax {
		rate = fmt.Sprintf("%s (L1 %s)", units.PacketRate(float64(c.Rate)), units.BitRate(float64(c.Rate)*float64(c.WireL1)*8))
	}
	limit := ""
	if c.Duration > 0 {
		limit += " for " + time.Duration(c.Duration).String()
	}
	if c.Count > 0 {
		if limit != "" {
			limit += " or"
		}
		limit += " " + units.Plural(int(c.Count), "packet")
	}
	return fmt.Sprintf("  %s · %s · rate %s%s · %s in flight of %s", size, units.Plural(c.Flows, "flow"), rate, limit,
		units.Plural(c.InFlight, "IRP"), units.Plural(c.Batch, "packet"))
}

// PacingNote is the honest statement about pacing, empty when there is nothing to state.
func PacingNote(rate uint64, batch int) string {
	if rate == 0 {
		return ""
	}
	note := fmt.Sprintf("  pacing by sleeps of %v or more: what falls due meanwhile leaves as one burst", sleepGrain)
	if perSleep := rate / uint64(time.Second/sleepGrain); perSleep > 1 {
		note += fmt.Sprintf(" (about %s packets at this rate)", units.Grouped(perSleep))
	}
	return note + fmt.Sprintf("; pauses above %v are not made up for", bucketTime)
}

// Line is the live line of an interval.
func Line(i Interval, wire Wire) string {
	length := i.End - i.Start
	pps := float64(perSecond(i.Counts.Submitted, length))
	line := fmt.Sprintf("[%5.1fs] tx %s  L1 %s  done %s  in flight %s", i.End.Seconds(), units.PacketRate(pps),
		units.BitRate(pps*float64(wire.L1Bytes)*8), units.Grouped(i.Total.Completed), units.Plural(i.InFlight, "IRP"))
	if i.Total.Failed > 0 {
		line += "  failed " + units.Grouped(i.Total.Failed)
	}
	if i.Latency.Count > 0 {
		line += fmt.Sprintf("  compl p50 %s p99 %s", units.Nanoseconds(i.Latency.P50), units.Nanoseconds(i.Latency.P99))
	}
	return line
}

// Tables are the final tables.
func (r *Report) Tables() []*output.Table {
	c, t := &r.Config, &r.Totals
	var counts output.Table
	counts.Row("", "packets", "rate", "L1", "L2", "share")
	row := func(name string, n uint64, pps uint64) {
		share := ""
		if t.Requested > 0 {
			share = fmt.Sprintf("%.3f %%", 100*float64(n)/float64(t.Requested))
		}
		counts.Row(name, units.Grouped(n), units.PacketRate(float64(pps)), units.BitRate(float64(pps)*float64(c.WireL1)*8),
			units.BitRate(float64(pps)*float64(c.WireL2)*8), share)
	}
	if t.Requested > 0 {
		pps := c.Rate
		if c.RateMax {
			pps = t.SubmittedPPS
		}
		row("requested", t.Requested, pps)
	}
	row("submitted", t.Submitted, t.SubmittedPPS)
	row("completed", t.Completed, t.CompletedPPS)
	for _, s := range t.ByStatus {
		counts.Row("failed", units.Grouped(s.Packets), s.Status)
	}

	var facts output.Table
	if p := r.Pacing; p != nil {
		facts.Row("pacing", fmt.Sprintf("mean error %+.3f %%  longest burst %s  forfeited %s", float64(p.Error)/1e4,
			units.Plural(int(p.Burst), "packet"), units.Grouped(p.Forfeited)))
	}
	if l := r.Latency; l != nil {
		ns := units.Nanoseconds
		facts.Row("completion", fmt.Sprintf("min %s  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", ns(l.Min), ns(l.P50), ns(l.P90), ns(l.P99),
			ns(l.P999), ns(l.Max)))
	}
	facts.Row("cost", r.costText())
	facts.Row("verdict", r.Verdict())
	return []*output.Table{&counts, &facts}
}

func (r *Report) costText() string {
	elapsed := float64(r.Totals.Elapsed)
	if elapsed <= 0 {
		elapsed = 1
	}
	text := fmt.Sprintf("%.2f CPU (%.2f user, %.2f system)", float64(r.CPU.User+r.CPU.System)/elapsed,
		float64(r.CPU.User)/elapsed, float64(r.CPU.System)/elapsed)
	if r.CPU.PerPacket > 0 {
		text += fmt.Sprintf(" · %s/packet", units.Nanoseconds(int64(r.CPU.PerPacket)))
	}
	kicks, frames := r.kicks()
	if kicks > 0 {
		text += fmt.Sprintf(" · %s kick syscalls · %.1f frames/kick", units.Grouped(kicks), float64(frames)/float64(kicks))
	}
	return text
}

func (r *Report) kicks() (kicks, frames uint64) {
	for _, q := range r.Queues {
		kicks += q.Kicks
		frames += q.Completed
	}
	return kicks, frames
}

// Verdict is one sentence on how it went.
func (r *Report) Verdict() string {
	t := &r.Totals
	var trouble string
	switch {
	case t.Completed == 0:
		trouble = "nothing was sent"
	case t.Failed > 0:
		trouble = fmt.Sprintf("%s of %s packets failed", units.Grouped(t.Failed), units.Grouped(t.Submitted))
	case t.Unfinished > 0:
		trouble = units.Plural(t.Unfinished, "IRP") + " did not complete"
	case r.SlowPath.Sent > 0:
		trouble = units.Grouped(r.SlowPath.Sent) + " sends took the SLOW PATH through the kernel's stack"
	case r.Pacing != nil && !r.Interrupted && r.Pacing.Error < -10_000:
		trouble = "all completed, but the rate was not reached"
	}
	text := "ok: every packet submitted was completed"
	if trouble != "" {
		text = trouble
	}
	if r.Interrupted {
		text += " (interrupted)"
	}
	return text
}
