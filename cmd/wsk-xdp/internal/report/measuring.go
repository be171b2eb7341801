// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/latency"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/echo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// ofPing is a run of ping.
func ofPing(r *ping.Report) *Document {
	c, t := &r.Config, &r.Totals
	d := &Document{
		Title: "ping " + c.Destination, Verdict: r.Verdict.Text, OK: r.Verdict.OK,
		Conditions: []Fact{
			{"engine", c.Engine}, {"payload", units.Plural(c.Payload, "byte")}, {"rate asked", units.PacketRate(blast.Rate(c.MicroRate).PerSecond())},
			{"load", loadText(r.Load)}, {"interface", strings.TrimSpace(r.Path.Interface + " " + r.Path.Kind)}, {"kernel", r.Host.Kernel},
			{"CPUs", strconv.Itoa(r.Host.CPUs)}, {"version", r.Version},
		},
		Facts: []Fact{{"started", r.StartedAt.Format(time.RFC3339)}, {"sending", units.Nanoseconds(t.Sending)}, {"limited by", r.LimitedBy}},
		Classes: []Class{
			{"due", t.Due, false}, {"answered", t.Answered, false}, {"late", t.Late, true}, {"lost", t.Lost, true}, {"failed", t.Failed, true},
			{"unsent", t.Unsent, true}, {"duplicate", t.Duplicate, true}, {"reordered", t.Reordered, true}, {"corrupt", t.Corrupt, true},
		},
	}
	d.rate("answered", t.Answered, t.Sending)
	for _, one := range []struct {
		name, title string
		times       *ping.Times
	}{
		{"round trip", "Round trip, from the time that a ping was due to its answer", r.RoundTrip},
		{"", "Round trip, from the call that sent it", r.FromSend}, {"", "How late pings were sent", r.Departure},
	} {
		if w := one.times; w != nil {
			d.Delays = append(d.Delays, Delay{one.title, []Percentile{
				{"min", w.Min}, {"p50", w.P50}, {"p90", w.P90}, {"p99", w.P99}, {"p99.9", w.P999}, {"max", w.Max},
			}})
			if one.name != "" {
				d.Rates = append(d.Rates, Rate{Name: one.name + " p50", PPS: float64(w.P50), Time: true},
					Rate{Name: one.name + " p99", PPS: float64(w.P99), Time: true})
			}
		}
	}
	d.histogram("Round trips, how many took how long", r.HDR.RoundTrip)
	sent, answered, open := Line{Name: "sent"}, Line{Name: "answered"}, Line{Name: "not answered yet"}
	p50, p99, longest := Line{Name: "p50"}, Line{Name: "p99"}, Line{Name: "max"}
	var waiting float64
	for _, i := range r.Intervals {
		length, at := time.Duration(i.End-i.Start).Seconds(), time.Duration(i.End).Seconds()
		if length <= 0 {
			continue
		}
		sent.add(at, float64(i.Sent)/length)
		answered.add(at, float64(i.Answered)/length)
		waiting += float64(i.Sent) - float64(i.Answered)
		open.add(at, max(waiting, 0))
		if i.P50 > 0 {
			p50.add(at, float64(i.P50))
			p99.add(at, float64(i.P99))
			longest.add(at, float64(i.Max))
		}
	}
	d.chart(Chart{"Rate over time", PacketsPerSecond, []Line{sent, answered}})
	d.chart(Chart{"Lost or under way, second by second", Packets, []Line{open}})
	d.chart(Chart{"Round trip over time", Nanoseconds, []Line{p50, p99, longest}})
	return d
}

func loadText(l *ping.LoadReport) string {
	switch {
	case l == nil:
		return ""
	case l.MicroRate == 0:
		return "max"
	}
	return units.PacketRate(blast.Rate(l.MicroRate).PerSecond())
}

// rate adds one that there is only where it is of more than a moment.
func (d *Document) rate(name string, n uint64, ns int64) {
	if over := time.Duration(ns); over >= leastReceiving {
		d.Rates = append(d.Rates, Rate{Name: name, PPS: float64(n) / over.Seconds()})
	}
}

// ofEcho is an echo.
func ofEcho(r *echo.Report) *Document {
	t := &r.Totals
	d := &Document{
		Title: "echo " + r.Config.Listen, Verdict: r.Verdict.Text, OK: r.Verdict.OK,
		Conditions: []Fact{
			{"engine", r.Config.Engine}, {"delay", nonZero(r.Config.Delay)}, {"drop", shareText(r.Config.DropMillionths)}, {"kernel", r.Host.Kernel},
			{"CPUs", strconv.Itoa(r.Host.CPUs)}, {"version", r.Version},
		},
		Facts: []Fact{{"started", r.StartedAt.Format(time.RFC3339)}},
		Classes: []Class{
			{"came", t.Packets, false}, {"answered", t.Answered, false}, {"load", t.Load, false}, {"dropped as asked", t.Dropped, false},
			{"failed", t.Failed, true}, {"refused", t.Refused, true},
		},
	}
	for _, cause := range recv.Causes(r.Drops) {
		d.Classes = append(d.Classes, Class{strings.ReplaceAll(cause, "_", " "), r.Drops[cause], true})
	}
	came, answered := Line{Name: "came"}, Line{Name: "answered"}
	lost := Line{Name: "dropped here"}
	busy := int64(0) // while something came
	for _, i := range r.Intervals {
		length, at := time.Duration(i.End-i.Start).Seconds(), time.Duration(i.End).Seconds()
		if length <= 0 {
			continue
		}
		if i.Packets > 0 {
			busy += i.End - i.Start
		}
		came.add(at, float64(i.Packets)/length)
		answered.add(at, float64(i.Answered)/length)
		lost.add(at, float64(i.Drops))
	}
	d.rate("answered", t.Answered, busy)
	d.chart(Chart{"Rate over time", PacketsPerSecond, []Line{came, answered}})
	d.chart(Chart{"Dropped here, second by second", Packets, []Line{lost}})
	return d
}

// nonZero is a time, nothing where there is none.
func nonZero(ns int64) string {
	if ns == 0 {
		return ""
	}
	return units.Nanoseconds(ns)
}

func shareText(millionths uint64) string {
	if millionths == 0 {
		return ""
	}
	return units.Share(millionths).String()
}

// ofReplay is a run of replay.
func ofReplay(r *replay.Report) *Document {
	c, t := &r.Config, &r.Totals
	d := &Document{
		Title: "replay " + c.File, Verdict: r.Verdict.Text, OK: r.Verdict.OK,
		Conditions: []Fact{
			{"pacing", c.Pacing}, {"rate asked", c.RateAsked}, {"frames in the file", units.Grouped(r.File.Frames)},
			{"interface", strings.TrimSpace(r.Path.Interface + " " + r.Path.Kind)}, {"kernel", r.Host.Kernel}, {"CPUs", strconv.Itoa(r.Host.CPUs)},
			{"version", r.Version},
		},
		Facts: []Fact{{"started", r.StartedAt.Format(time.RFC3339)}, {"sending", units.Nanoseconds(t.Sending)}},
		Classes: []Class{
			{"submitted", t.Submitted, false}, {"completed", t.Completed, false}, {"failed", t.Failed, true},
		},
	}
	for _, rate := range []struct {
		name string
		pps  *uint64
	}{{"submitted", t.SubmittedPPS}, {"completed", t.CompletedPPS}} {
		if rate.pps != nil {
			d.Rates = append(d.Rates, Rate{Name: rate.name, PPS: float64(*rate.pps)})
		}
	}
	if r.TooShort != "" {
		d.Facts = append(d.Facts, Fact{"rates", "too short to tell: " + r.TooShort})
	}
	if g := r.Gaps; g != nil {
		gaps := func(title string, q *replay.Quantiles) {
			if q != nil {
				d.Delays = append(d.Delays, Delay{title, []Percentile{{"p50", q.P50}, {"p99", q.P99}, {"max", q.Max}}})
			}
		}
		gaps("Gaps asked", g.Asked)
		gaps("Gaps reached", &g.Reached)
		gaps("Late, after the time of the file", g.Late)
	}
	submitted, completed := Line{Name: "submitted"}, Line{Name: "completed"}
	for _, i := range r.Intervals {
		if length := time.Duration(i.End - i.Start).Seconds(); length > 0 {
			at := time.Duration(i.End).Seconds()
			submitted.add(at, float64(i.Submitted)/length)
			completed.add(at, float64(i.Completed)/length)
		}
	}
	d.chart(Chart{"Rate over time", PacketsPerSecond, []Line{submitted, completed}})
	return d
}

// ofBenchLatency is a comparison of how long things take.
func ofBenchLatency(r *latency.Report) *Document {
	d := &Document{
		Title: "bench latency", OK: true,
		Conditions: append(conditions(&r.Host), Fact{"ends of a round trip", r.Granted.CPUs}, Fact{"a run", units.Nanoseconds(r.Granted.DurationNs)}),
	}
	for _, one := range r.Latency {
		name := fmt.Sprintf("%s %s, %d bytes", one.Measure, one.Engine, one.FrameBytes)
		d.Rates = append(d.Rates, Rate{Name: name + " p50", PPS: float64(one.P50), Least: float64(one.P50Min), Most: float64(one.P50Max), Time: true},
			Rate{Name: name + " p99", PPS: float64(one.P99), Time: true})
		d.Delays = append(d.Delays, Delay{name, []Percentile{{"p50", one.P50}, {"p90", one.P90}, {"p99", one.P99}, {"p99.9", one.P999}, {"max", one.Max}}})
	}
	return d
}
