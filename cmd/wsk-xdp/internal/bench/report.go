// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
)

// Schema names the form of the JSON document.
const Schema = "wsk-xdp.bench/1"

// Report is the JSON document.
type Report struct {
	Schema string `json:"schema"`
	host.Noted
	Results []Result  `json:"results"`
	Host    host.Load `json:"host"`
	Granted Granted   `json:"granted"`

	queues      int
	comparisons []*comparison
}

// Result is one engine at one frame size. Per-packet figures are medians of the runs, those that nobody measured are
// null.
type Result struct {
	Engine     string `json:"engine"`
	FrameBytes int    `json:"frame_bytes"`
	Queues     int    `json:"queues"`
	stats.Rate
	// Ratio is the median, over the rounds, of this engine's rate to that of [Base] in the same round. null without
	// Base.
	Ratio             *float64 `json:"ratio"`
	CPUNsPerPacket    float64  `json:"cpu_ns_per_packet"`
	UserNsPerPacket   float64  `json:"user_ns_per_packet"`
	SyscallsPerPacket *float64 `json:"syscalls_per_packet"`
	RSSBytes          uint64   `json:"rss_bytes"`
	Runs              int      `json:"runs"`
}

// Granted is under which conditions the engines ran.
type Granted struct {
	Interface    string        `json:"interface"`
	MTU          int           `json:"mtu_bytes"`
	CountedBy    string        `json:"counted_by"`
	Destinations int           `json:"destinations"`
	DurationNs   int64         `json:"duration_ns"`
	WarmupNs     int64         `json:"warmup_ns"`
	Pin          []int         `json:"pinned_cpus"`
	Engines      []GrantedRing `json:"engines"`
}

// GrantedRing is what the kernel gave to an engine that has rings, in the engine's own form.
type GrantedRing struct {
	Engine     string          `json:"engine"`
	FrameBytes int             `json:"frame_bytes"`
	Queues     json.RawMessage `json:"queues"`
}

func newReport(c *Config, p *place, all []*comparison, load float64) *Report {
	r := &Report{
		Schema: Schema, Results: []Result{}, queues: c.Queues, comparisons: all,
		Host: host.Measured(load),
		Granted: Granted{
			Interface: p.iface, MTU: p.mtu, CountedBy: p.countedBy, Destinations: len(p.targets),
			DurationNs: c.Duration.Nanoseconds(), WarmupNs: c.Warmup.Nanoseconds(), Pin: append([]int{}, c.Pin...), Engines: []GrantedRing{},
		},
	}
	for _, one := range all {
		base := one.find(Base)
		for _, who := range one.contestants {
			pps := who.runs.Values(rate)
			if len(pps) == 0 {
				continue
			}
			res := Result{
				Engine: who.name, FrameBytes: one.size, Queues: c.Queues, Runs: len(pps),
				Rate:            stats.RateOf(pps),
				CPUNsPerPacket:  stats.Round(who.runs.Median(func(m *measured) float64 { return m.cpuNs }), 1),
				UserNsPerPacket: stats.Round(who.runs.Median(func(m *measured) float64 { return m.userNs }), 1),
				RSSBytes:        uint64(who.runs.Median(func(m *measured) float64 { return float64(m.rss) })),
			}
			if n := who.runs.Median(func(m *measured) float64 { return m.syscalls }); n >= 0 {
				n = stats.Round(n, 5)
				res.SyscallsPerPacket = &n
			}
			if base != nil {
				res.Ratio = who.runs.Ratio(base.runs, rate)
			}
			r.Results = append(r.Results, res)
			if last := who.lastGranted(); last != nil {
				r.Granted.Engines = append(r.Granted.Engines, GrantedRing{who.name, one.size, last})
			}
		}
	}
	return r
}

func (who *contestant) lastGranted() json.RawMessage {
	for _, m := range who.runs {
		if m != nil && len(m.granted) > 0 && string(m.granted) != "null" {
			return m.granted
		}
	}
	return nil
}
