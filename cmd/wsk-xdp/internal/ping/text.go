// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Plan is what is about to be sent, in one line of the start block.
func (r *Report) Plan() string {
	c := &r.Config
	limit := " until stopped"
	switch {
	case c.Duration > 0 && c.Count > 0:
		limit = fmt.Sprintf(" for %v or %s", time.Duration(c.Duration), units.Plural(int(c.Count), "ping"))
	case c.Duration > 0:
		limit = fmt.Sprintf(" for %v", time.Duration(c.Duration))
	case c.Count > 0:
		limit = ", " + units.Plural(int(c.Count), "ping")
	}
	load := ""
	if r.Load != nil {
		load = " · under a load of " + r.Load.asked()
	}
	return fmt.Sprintf("  payload %d B · rate %s%s · measured from when each ping is due · late after %v%s", c.Payload,
		units.PacketRate(blast.Rate(c.MicroRate).PerSecond()), limit, time.Duration(c.Timeout), load)
}

// Line is the live line of an interval. What matters most comes first: a narrow terminal shows no more.
func Line(i Interval) string {
	c := i.Total
	line := fmt.Sprintf("[%5.1fs] sent %s  answered %s", i.End.Seconds(), units.Grouped(c.Sent), units.Grouped(c.Answered+c.Late))
	if t := i.Times; t != nil {
		ns := units.Nanoseconds
		line += fmt.Sprintf("  p50 %s p99 %s max %s", ns(t.P50), ns(t.P99), ns(t.Max))
	}
	for _, more := range []struct {
		name string
		n    uint64
	}{{"late", c.Late}, {"dup", c.Duplicate}, {"reordered", c.Reordered}, {"corrupt", c.Corrupt}, {"foreign", c.Foreign}} {
		if more.n > 0 {
			line += fmt.Sprintf("  %s %s", more.name, units.Grouped(more.n))
		}
	}
	return line
}

// Tables are the final tables.
func (r *Report) Tables() []*output.Table {
	t := &r.Totals
	var counts, facts output.Table
	counts.Row("due", "answered", "late", "lost", "failed", "unsent", "duplicate", "reordered", "extent", "corrupt", "foreign")
	cells := []uint64{t.Due, t.Answered, t.Late, t.Lost, t.Failed, t.Unsent, t.Duplicate, t.Reordered, t.Extent, t.Corrupt, t.Foreign}
	row := make([]string, len(cells))
	for i, n := range cells {
		row[i] = units.Grouped(n)
	}
	counts.Row(row...)
	for _, times := range []struct {
		name string
		*Times
	}{{"round trip", r.RoundTrip}, {"since sent", r.FromSend}, {"sent late", r.Departure}} {
		if times.Times != nil {
			facts.Row(times.name, times.text())
		}
	}
	for _, f := range t.ByCause {
		facts.Row("failed", units.Grouped(f.Pings)+" "+f.Cause)
	}
	if l := r.Load; l != nil {
		facts.Row("load", l.text())
	}
	facts.Row("cost", fmt.Sprintf("%.2f CPU", float64(r.CPU)/float64(max(t.Elapsed, 1))))
	facts.Row("verdict", r.Verdict.Text)
	tables := []*output.Table{&counts}
	if len(r.Buckets) > 0 {
		tables = append(tables, picture(r.Buckets))
	}
	return append(tables, &facts)
}

// asked is what the load was to be.
func (r *LoadReport) asked() string {
	if r.MicroRate == 0 {
		return "as much as goes"
	}
	return units.PacketRate(blast.Rate(r.MicroRate).PerSecond())
}

// text is what the load was, for the table.
func (r *LoadReport) text() string {
	text := fmt.Sprintf("%s asked, %s sent, %s", r.asked(), units.PacketRate(r.reached()), units.Plural(int(r.Completed), "packet"))
	if r.Failed > 0 {
		text += ", " + units.Grouped(r.Failed) + " failed"
	}
	return text
}
