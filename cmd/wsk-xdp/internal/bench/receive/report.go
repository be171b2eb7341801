// SPDX-License-Identifier: Apache-2.0

package receive

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
const Schema = "wsk-xdp.bench-receive/1"

// Report is the JSON document.
type Report struct {
	Schema string `json:"schema"`
	host.Noted
	Receive []Result  `json:"receive"`
	Host    host.Load `json:"host"`
	Granted Granted   `json:"granted"`
}

// Result is one engine at one offered rate. Figures are medians over the runs.
type Result struct {
	Engine     string `json:"engine"`
	FrameBytes int    `json:"frame_bytes"`
	// RateLimit is what the sender was told to offer, 0 for as much as it could; Offered is what it did.
	RateLimit int    `json:"rate_limit_pps"`
	Offered   uint64 `json:"offered_pps"`
	stats.Rate
	// Ratio is the median, over the rounds, of this engine's rate to that of [Reference] in the same round, RatioCPU
	// the same for datagrams per CPU time of all that takes part; null without it.
	Ratio    *float64 `json:"ratio"`
	RatioCPU *float64 `json:"ratio_per_cpu"`
	// ReceiverNs is CPU time of the receiving process per datagram, UserNs of it in user space; CPUNs includes the
	// sending process, in which most of the kernel's work happens on veth.
	ReceiverNs float64 `json:"receiver_cpu_ns_per_packet"`
	UserNs     float64 `json:"receiver_user_ns_per_packet"`
	CPUNs      float64 `json:"cpu_ns_per_packet"`
	RSSBytes   uint64  `json:"rss_bytes"`
	Runs       int     `json:"runs"`
}

// Granted is under which conditions the engines ran.
type Granted struct {
	Sender     string `json:"sender"`
	Pinned     bool   `json:"pinned"`
	DurationNs int64  `json:"duration_ns"`
	WarmupNs   int64  `json:"warmup_ns"`
	BusyPollNs int64  `json:"busy_poll_ns"`
}

func newReport(c *Config, all []*contestant, load float64) *Report {
	on, _ := c.cpus()
	r := &Report{Schema: Schema, Receive: []Result{}, Host: host.Measured(load), Granted: Granted{
		Sender: c.Sender, Pinned: on >= 0, DurationNs: c.Duration.Nanoseconds(), WarmupNs: c.Warmup.Nanoseconds(),
		BusyPollNs: c.BusyPoll.Nanoseconds(),
	}}
	for _, who := range all {
		pps := who.Runs.Values(rate)
		if len(pps) == 0 {
			continue
		}
		of := who.Runs.Median
		res := Result{
			Engine: who.engine.Name(), FrameBytes: c.Size, RateLimit: who.rate, Runs: len(pps),
			Rate:       stats.RateOf(pps),
			Offered:    uint64(of(func(f *figures) float64 { return f.offered })),
			ReceiverNs: stats.Round(of(func(f *figures) float64 { return f.receiverNs }), 1),
			UserNs:     stats.Round(of(func(f *figures) float64 { return f.receiverUserNs }), 1),
			CPUNs:      stats.Round(of(func(f *figures) float64 { return f.cpuNs }), 1),
			RSSBytes:   uint64(of(func(f *figures) float64 { return float64(f.rss) })),
		}
		for _, base := range all {
			if base.rate == who.rate && base.engine.Name() == Reference {
				res.Ratio, res.RatioCPU = who.Runs.Ratio(base.Runs, rate), who.Runs.Ratio(base.Runs, thrift)
			}
		}
		r.Receive = append(r.Receive, res)
	}
	return r
}

func rate(f *figures) float64 { return f.pps }

// thrift is datagrams per second of CPU time.
func thrift(f *figures) float64 {
	if f.cpuNs <= 0 {
		return 0
	}
	return 1e9 / f.cpuNs
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	last := -1
	tables := output.Tables{W: w}
	for _, res := range r.Receive {
		if res.RateLimit != last {
			last = res.RateLimit
			what := "as many as the sender can"
			if last > 0 {
				what = units.PacketRate(float64(last)) + " offered"
			}
			tables.Begin(fmt.Sprintf("%d-byte frames (with FCS) · sender %s · %s", res.FrameBytes, r.Granted.Sender, what),
				"engine", "kpps", "min", "max", "to "+Reference, "offered", "delivered", "receiver ns/pkt", "user ns", "all CPU ns/pkt",
				"per CPU", "RSS", "runs")
		}
		kpps := func(v uint64) string { return fmt.Sprintf("%.0f", float64(v)/1e3) }
		tables.Row(res.Engine, kpps(res.PPSMedian), kpps(res.PPSMin), kpps(res.PPSMax), units.OrDash(res.Ratio), kpps(res.Offered),
			fmt.Sprintf("%.0f %%", 100*float64(res.PPSMedian)/float64(max(res.Offered, 1))), fmt.Sprintf("%.0f", res.ReceiverNs),
			fmt.Sprintf("%.0f", res.UserNs), fmt.Sprintf("%.0f", res.CPUNs), units.OrDash(res.RatioCPU), units.Bytes(res.RSSBytes),
			fmt.Sprint(res.Runs))
	}
	if err := tables.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s · %v a run\n"+
		"on veth the kernel's part of receiving runs inside the sender; all CPU is that of both\n", r.Host.Line(),
		time.Duration(r.Granted.DurationNs))
	return err
}
