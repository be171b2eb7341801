// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"fmt"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Plan is what is about to be sent, in one line of the start block.
func (r *Report) Plan() string {
	c := &r.Config
	size := fmt.Sprintf("payload %d B in %s", c.Payload, units.Plural(c.Frames, "fragment"))
	if c.Sizes != "" {
		size = fmt.Sprintf("frames %s (%s sizes in turn, mean %d B)", c.Sizes, units.Grouped(uint64(r.Mix.Packets)), c.WireL2)
	}
	if c.Frame > 0 {
		size = fmt.Sprintf("frames %d B (payload %d B)", c.Frame, c.Payload)
	}
	rate := "as fast as IRPs come back"
	if !c.RateMax {
		pps := Rate(c.MicroRate).PerSecond()
		rate = fmt.Sprintf("%s (L1 %s)", units.PacketRate(pps), units.BitRate(r.Mix.bits(pps, r.Mix.L1Bytes)))
		if len(c.Schedule) > 0 {
			rate = fmt.Sprintf("%s (mean %s)", c.RateAsked, rate)
		}
		if c.Burst > 1 {
			rate += fmt.Sprintf(" in bursts of %s", units.Grouped(c.Burst))
		}
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
	if limit == "" {
		limit = " until stopped"
	}
	flows := units.Plural(c.Flows, "flow")
	if c.Flows > 1 {
		flows += fmt.Sprintf(" (%s, seed %d)", c.FlowOrder, c.Seed)
	}
	switch c.Engine {
	case EngineXDP:
		return fmt.Sprintf("  %s · %s · rate %s%s · in batches of %d", size, flows, strings.Replace(rate, "IRPs come back", "the driver takes them", 1), limit, c.Batch)
	case EngineFrames, EnginePacket:
		return fmt.Sprintf("  %s · %s · rate %s%s · in bursts of %d at most", size, flows, strings.Replace(rate, "IRPs come", "frames come", 1), limit, c.Batch)
	case EngineUDP, EngineSendmmsg, EngineGSO:
		return fmt.Sprintf("  %s · %s · rate %s%s · %s a call", size, flows, strings.Replace(rate, "IRPs come back", "calls return", 1), limit,
			units.Plural(c.Batch, "datagram"))
	}
	return fmt.Sprintf("  %s · %s · rate %s%s · %s in flight of %s", size, flows, rate, limit,
		units.Plural(c.InFlight, "IRP"), units.Plural(c.Batch, "packet"))
}

// Line is the live line of an interval. What matters most comes first: a narrow terminal shows no more. arrived is what
// the peer says, empty where nobody was asked.
func Line(i Interval, mix Mix, arrived, engine string) string {
	length := i.End - i.Start
	pps := float64(perSecond(i.Counts.Submitted, length))
	line := fmt.Sprintf("[%5.1fs] tx %s", i.End.Seconds(), units.PacketRate(pps)) + arrived
	if i.Total.Failed > 0 {
		line += "  failed " + units.Grouped(i.Total.Failed)
	}
	if i.Latency.Count > 0 {
		line += fmt.Sprintf("  compl p50 %s p99 %s", units.Nanoseconds(i.Latency.P50), units.Nanoseconds(i.Latency.P99))
	}
	line += "  L1 " + units.BitRate(mix.bits(pps, mix.L1Bytes))
	if engine == EngineXDP { // of what the driver has, nobody hears
		return line + "  handed over " + units.Grouped(i.Total.Completed)
	}
	if isSockets(engine) { // a call that has returned leaves nothing in flight
		return line + "  done " + units.Grouped(i.Total.Completed)
	}
	return line + fmt.Sprintf("  done %s  in flight %s", units.Grouped(i.Total.Completed), units.Plural(i.InFlight, inFlightNoun(engine)))
}

// inFlightNoun is what an engine has in flight.
func inFlightNoun(engine string) string {
	if engine == EngineFrames || engine == EnginePacket {
		return "frame"
	}
	return "IRP"
}

// Arrived is what the peer says in the live line: a rate between two intervals of its own, and what is lost so far.
func Arrived(before, now peer.Interval) string {
	if now.Elapsed <= before.Elapsed {
		return ""
	}
	pps := float64(now.Received-min(before.Received, now.Received)) / time.Duration(now.Elapsed-before.Elapsed).Seconds()
	return fmt.Sprintf("  rx %s  lost %s", units.PacketRate(pps), units.Grouped(now.Lost))
}

// shortText stands where a run was too short for a figure.
const shortText = "too short to tell"

// Tables are the final tables.
func (r *Report) Tables() []*output.Table {
	c, t := &r.Config, &r.Totals
	var counts output.Table
	counts.Row("", "packets", "rate", "L1", "L2", "share")
	row := func(name string, n uint64, pps *float64, remark string) {
		share := ""
		if t.Requested > 0 {
			share = fmt.Sprintf("%.3f %%", 100*float64(n)/float64(t.Requested))
		}
		rate, l1, l2 := shortText, "", ""
		if pps != nil {
			rate, l1, l2 = units.PacketRate(*pps), units.BitRate(r.Mix.bits(*pps, r.Mix.L1Bytes)), units.BitRate(r.Mix.bits(*pps, r.Mix.L2Bytes))
		}
		counts.Row(name, units.Grouped(n), rate, l1, l2, share, remark)
	}
	if t.Requested > 0 {
		pps := new(Rate(c.MicroRate).PerSecond())
		if c.RateMax {
			pps = floating(t.SubmittedPPS)
		}
		row("requested", t.Requested, pps, "")
	}
	row("submitted", t.Submitted, floating(t.SubmittedPPS), "")
	done := "completed"
	if c.Engine == EngineXDP {
		done = "handed over"
	}
	row(done, t.Completed, floating(t.CompletedPPS), r.carriedText())
	if r.Peer != nil {
		row("received", r.Peer.Received, r.receivedRate(), r.receivedText())
	}
	for _, s := range t.ByStatus {
		counts.Row("failed", units.Grouped(s.Packets), s.Status)
	}

	var facts output.Table
	if r.Pacing != nil {
		facts.Row("pacing", r.pacingText())
	}
	if l := r.Latency; l != nil {
		ns := units.Nanoseconds
		facts.Row("completion", fmt.Sprintf("min %s  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", ns(l.Min), ns(l.P50), ns(l.P90), ns(l.P99),
			ns(l.P999), ns(l.Max)))
	}
	if r.Peer != nil && r.Peer.Delay != nil {
		ns, d := units.Nanoseconds, r.Peer.Delay
		facts.Row("one way", fmt.Sprintf("min %s  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", ns(d.Min), ns(d.P50), ns(d.P90), ns(d.P99), ns(d.P999), ns(d.Max)))
	}
	for _, s := range r.Steps {
		facts.Row(fmt.Sprintf("step %d", s.Step), s.text())
	}
	for _, row := range r.Facts {
		facts.Row(row...)
	}
	facts.Row("cost", r.costText())
	facts.Row("verdict", r.Verdict.Text)
	for _, c := range r.FailIf {
		facts.Row("fail if", c.Condition+": "+map[bool]string{true: "YES, ", false: "no, "}[c.Holds]+c.Figure)
	}
	return []*output.Table{&counts, &facts}
}

func floating(v *uint64) *float64 {
	if v == nil {
		return nil
	}
	return new(float64(*v))
}

func (r *Report) carriedText() string {
	var words []string
	for _, c := range r.Carried {
		name := c.Engine
		if name == EngineKernel {
			name = "kernel stack"
		}
		words = append(words, name+" "+units.Grouped(c.Packets))
	}
	return strings.Join(words, " · ")
}

func (r *Report) pacingText() string {
	p := r.Pacing
	mean := shortText + ": " + r.TooShort
	if p.Error != nil {
		mean = fmt.Sprintf("mean error %+.3f %%", float64(*p.Error)/1e4)
	}
	text := fmt.Sprintf("%s  longest burst %s  forfeited %s", mean, units.Plural(int(p.Burst), "packet"), units.Grouped(p.Forfeited))
	if ns := units.Nanoseconds; p.Max != nil {
		text += fmt.Sprintf("  departures p50 %s p99 %s max %s  late starts %s", ns(*p.P50), ns(*p.P99), ns(*p.Max), units.Grouped(*p.Late))
	}
	return text
}

func (r *Report) costText() string {
	text := shortText + ": " + r.TooShort
	if cpu := r.CPU; cpu != nil {
		elapsed := float64(max(r.Totals.Elapsed, 1))
		text = fmt.Sprintf("%.2f CPU (%.2f user, %.2f system)", float64(cpu.User+cpu.System)/elapsed, float64(cpu.User)/elapsed,
			float64(cpu.System)/elapsed)
		if cpu.PerPacket > 0 {
			text += fmt.Sprintf(" · %s/packet", units.Nanoseconds(int64(cpu.PerPacket)))
		}
	}
	kicks, frames := r.kicks()
	if kicks > 0 {
		text += fmt.Sprintf(" · %s kick syscalls · %.1f frames/kick", units.Grouped(kicks), float64(frames)/float64(kicks))
	}
	if p := r.Peer; p != nil && p.Elapsed > 0 && r.TooShort == "" {
		text += fmt.Sprintf(" · peer %.2f CPU", float64(p.CPU)/float64(p.Elapsed))
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
