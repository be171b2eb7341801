// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"fmt"
	"io"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Schema names the form of the JSON document.
const Schema = "wsk-xdp.bench-scale/1"

// Report is the JSON document.
type Report struct {
	Schema string `json:"schema"`
	host.Noted
	Scale        []Result  `json:"scale"`
	Host         host.Load `json:"host"`
	PayloadBytes int       `json:"payload_bytes"`
	DurationNs   int64     `json:"duration_ns"`
	WarmupNs     int64     `json:"warmup_ns"`
}

// Result is one engine at one point. Figures are medians of the runs.
type Result struct {
	Engine string `json:"engine"`
	Point
	stats.Rate
	// Ratio is the median, over the rounds, of this engine's rate to that of [Base] at the same point in the same round;
	// Growth the same to this engine's at the first point of its IP version. null where one of the two has no rate.
	Ratio           *float64 `json:"ratio"`
	Growth          *float64 `json:"growth"`
	CPUNsPerPacket  float64  `json:"cpu_ns_per_packet"`
	UserNsPerPacket float64  `json:"user_ns_per_packet"`
	RSSBytes        uint64   `json:"rss_bytes"`
	// FirstNs is the time from the start of opening to the first datagram handed over, with all sockets.
	FirstNs int64 `json:"first_datagram_ns"`
	// Changed is the changes of routes per second that there were. Asked is how often the kernel was asked for a way during a
	// run, and Slow how many datagrams left through its stack.
	Changed float64 `json:"route_changes_reached"`
	Asked   uint64  `json:"routes_asked"`
	Slow    uint64  `json:"slow_datagrams"`
	Runs    int     `json:"runs"`
}

func newReport(c *Config, all []*contestant, load float64) *Report {
	r := &Report{
		Schema: Schema, Scale: []Result{}, Host: host.Measured(load), PayloadBytes: payload,
		DurationNs: c.Duration.Nanoseconds(), WarmupNs: c.Warmup.Nanoseconds(),
	}
	for _, who := range all {
		pps := who.Runs.Values(rate)
		if len(pps) == 0 {
			continue
		}
		median := who.Runs.Median
		res := Result{
			Engine: who.engine, Point: who.Point, Rate: stats.RateOf(pps), Runs: len(pps),
			CPUNsPerPacket:  stats.Round(median(func(f *figures) float64 { return f.cpuNs }), 1),
			UserNsPerPacket: stats.Round(median(func(f *figures) float64 { return f.userNs }), 1),
			RSSBytes:        uint64(median(func(f *figures) float64 { return float64(f.rss) })),
			FirstNs:         int64(median(func(f *figures) float64 { return float64(f.first) })),
			Changed:         stats.Round(median(func(f *figures) float64 { return f.changes }), 1),
			Asked:           uint64(median(func(f *figures) float64 { return f.asked })),
			Slow:            uint64(median(func(f *figures) float64 { return f.slow })),
		}
		if base := find(all, who.Point, Base); base != nil {
			res.Ratio = who.Runs.Ratio(base.Runs, rate)
		}
		if first := find(all, firstOf(all, who.IPVersion), who.engine); first != nil {
			res.Growth = who.Runs.Ratio(first.Runs, rate)
		}
		r.Scale = append(r.Scale, res)
	}
	return r
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	var t output.Table
	t.Row("IP", "destinations", "sockets", "routes", "changes/s", "engine", "kpps", "min", "max", "to "+Base, "to the first", "CPU ns/pkt",
		"user ns", "first", "asked", "slow", "RSS", "runs")
	kpps := func(v uint64) string { return fmt.Sprintf("%.0f", float64(v)/1e3) }
	for _, res := range r.Scale {
		changes := "0"
		if res.Changes > 0 {
			changes = fmt.Sprintf("%.0f", res.Changed)
		}
		t.Row(fmt.Sprint(res.IPVersion), units.Grouped(uint64(res.Destinations)), units.Grouped(uint64(res.Sockets)), units.Grouped(uint64(res.Routes)),
			changes, res.Engine, kpps(res.PPSMedian), kpps(res.PPSMin), kpps(res.PPSMax), units.OrDash(res.Ratio), units.OrDash(res.Growth),
			fmt.Sprintf("%.0f", res.CPUNsPerPacket), fmt.Sprintf("%.0f", res.UserNsPerPacket), time.Duration(res.FirstNs).Round(100*time.Microsecond).String(),
			fmt.Sprint(res.Asked), fmt.Sprint(res.Slow), units.Bytes(res.RSSBytes), fmt.Sprint(res.Runs))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s · %s\n%d bytes to destinations at random behind one gateway; CPU is that of the sending process; first: from the start\n"+
		"of opening to the first datagram, with all sockets; asked: how often the kernel was asked for a way\n",
		r.Host.CPUModel, r.Host.Line(), r.PayloadBytes)
	return err
}
