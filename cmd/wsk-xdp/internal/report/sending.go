// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// ofBlast is a run of blast.
func ofBlast(r *blast.Report) *Document {
	c, t := &r.Config, &r.Totals
	size := c.Sizes
	if size == "" {
		size = units.Plural(c.Frame, "byte")
		if c.Frame == 0 {
			size = "payload " + units.Plural(c.Payload, "byte")
		}
	}
	d := &Document{
		Title: "blast " + c.Destination, Verdict: r.Verdict.Text, OK: r.Verdict.OK,
		Conditions: []Fact{
			{"engine", c.Engine}, {"frames", size}, {"rate asked", c.RateAsked}, {"flows", strconv.Itoa(c.Flows)}, {"batch", strconv.Itoa(c.Batch)},
			{"interface", strings.TrimSpace(r.Path.Interface + " " + r.Path.Kind)}, {"kernel", r.Host.Kernel}, {"CPUs", strconv.Itoa(r.Host.CPUs)},
			{"version", r.Version},
		},
		Classes: []Class{{"submitted", t.Submitted, false}, {"completed", t.Completed, false}, {"failed", t.Failed, true}},
	}
	for _, rate := range []struct {
		name string
		pps  *uint64
	}{{"submitted", t.SubmittedPPS}, {"completed", t.CompletedPPS}} {
		if rate.pps != nil {
			d.Rates = append(d.Rates, Rate{Name: rate.name, PPS: float64(*rate.pps)})
		}
	}
	for _, s := range r.Steps {
		name, length := fmt.Sprintf("step %d (%s)", s.Step, s.Asked), time.Duration(s.End-s.Start)
		if length >= leastReceiving {
			d.Rates = append(d.Rates, Rate{Name: name, PPS: float64(s.Completed) / length.Seconds()})
		}
	}
	d.Facts = append(d.Facts, Fact{"started", r.StartedAt.Format(time.RFC3339)}, Fact{"sending", units.Nanoseconds(t.Sending)})
	if r.TooShort != "" {
		d.Facts = append(d.Facts, Fact{"rates", "too short to tell: " + r.TooShort})
	}
	if w := r.Warmup; w != nil {
		d.Facts = append(d.Facts, Fact{"warm-up", units.Nanoseconds(w.Duration) + ", not counted"})
	}
	if p := r.Pacing; p != nil && p.Max != nil {
		ns := units.Nanoseconds
		d.Facts = append(d.Facts, Fact{"departures", fmt.Sprintf("p50 %s  p99 %s  max %s after their time", ns(*p.P50), ns(*p.P99), ns(*p.Max))})
	}
	if r.LimitedBy != "" {
		d.Facts = append(d.Facts, Fact{"limited by", strings.ReplaceAll(r.LimitedBy, "_", " ")})
	}
	if l := r.Latency; l != nil {
		d.Delays = append(d.Delays, Delay{"Completion, from the call to the completion routine", []Percentile{
			{"min", l.Min}, {"p50", l.P50}, {"p90", l.P90}, {"p99", l.P99}, {"p99.9", l.P999}, {"max", l.Max},
		}})
	}
	if r.HDR != nil {
		d.histogram("Completions, how many took how long", r.HDR.Completion)
	}
	d.sendingOverTime(r)
	if r.Peer != nil {
		d.ofPeer("received", r.Peer)
	}
	return d
}

// sendingOverTime adds the charts of the intervals.
func (d *Document) sendingOverTime(r *blast.Report) {
	submitted, completed := Line{Name: "submitted"}, Line{Name: "completed"}
	p50, p99 := Line{Name: "p50"}, Line{Name: "p99"}
	for _, i := range r.Intervals {
		length := time.Duration(i.End - i.Start).Seconds()
		if length <= 0 {
			continue
		}
		at := time.Duration(i.End).Seconds()
		submitted.add(at, float64(i.Submitted)/length)
		completed.add(at, float64(i.Completed)/length)
		if i.P50 > 0 {
			p50.add(at, float64(i.P50))
			p99.add(at, float64(i.P99))
		}
	}
	rates := Chart{"Rate over time", PacketsPerSecond, []Line{submitted, completed}}
	var lost Line
	if r.Peer != nil {
		var received Line
		received, lost = arrivals(r.Peer.Intervals)
		rates.Lines = append(rates.Lines, received)
	}
	d.chart(rates)
	d.chart(Chart{"Lost, second by second", Packets, []Line{lost}})
	d.chart(Chart{"Completion over time", Nanoseconds, []Line{p50, p99}})
}

// arrivals are what came and what was lost in each interval, of counts since the start. What seemed lost and came late
// after all makes no negative loss.
func arrivals(intervals []peer.Interval) (received, lost Line) {
	received.Name, lost.Name = "received", "lost"
	before := peer.Interval{}
	for _, i := range intervals {
		length := time.Duration(i.Elapsed - before.Elapsed).Seconds()
		if length <= 0 || i.Received < before.Received {
			continue
		}
		at := time.Duration(i.Elapsed).Seconds()
		received.add(at, float64(i.Received-before.Received)/length)
		lost.add(at, float64(max(i.Lost, before.Lost)-before.Lost))
		before = i
	}
	return received, lost
}

// ofPeer adds what a receiver has counted of a run.
func (d *Document) ofPeer(name string, p *peer.Report) {
	if over := time.Duration(p.Receiving); over >= leastReceiving {
		d.Rates = append(d.Rates, Rate{Name: name, PPS: float64(p.Received) / over.Seconds()})
	}
	d.Classes = append(d.Classes, Class{name, p.Received, false}, Class{"lost", p.Lost, true}, Class{"duplicate", p.Duplicate, true},
		Class{"reordered", p.Reordered, true}, Class{"late", p.Late, true}, Class{"corrupt", p.Corrupt, true})
	if sent := p.Received + p.Lost; sent > 0 {
		d.Facts = append(d.Facts, Fact{"loss", fmt.Sprintf("%.4f %%", 100*float64(p.Lost)/float64(sent))})
	}
	if w := p.Delay; w != nil {
		d.Delays = append(d.Delays, Delay{"One way, from the call to the receiver", []Percentile{
			{"min", w.Min}, {"p50", w.P50}, {"p90", w.P90}, {"p99", w.P99}, {"p99.9", w.P999}, {"max", w.Max},
		}})
	}
	if p.HDR != nil {
		d.histogram("One way, how many took how long ("+name+")", p.HDR.OneWay)
	}
}

// leastReceiving is the time below which a rate says more about the clock's grain than about the run.
const leastReceiving = 100 * time.Millisecond

func (l *Line) add(seconds, value float64) { l.Points = append(l.Points, Point{seconds, value}) }

// chart adds one, without the lines that have no points.
func (d *Document) chart(c Chart) {
	var lines []Line
	for _, l := range c.Lines {
		if len(l.Points) > 0 {
			lines = append(lines, l)
		}
	}
	if c.Lines = lines; len(lines) > 0 {
		d.Charts = append(d.Charts, c)
	}
}
