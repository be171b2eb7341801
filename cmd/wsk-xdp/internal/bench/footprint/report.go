// SPDX-License-Identifier: Apache-2.0

package footprint

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
const Schema = "wsk-xdp.bench-footprint/1"

// Report is the JSON document.
type Report struct {
	Schema string `json:"schema"`
	host.Noted
	Footprint []Result  `json:"footprint"`
	Host      host.Load `json:"host"`
	SettleNs  int64     `json:"settle_ns"`
	IdleNs    int64     `json:"idle_ns"`
}

// Result is one kind with one number of queues. Times are medians over the runs.
type Result struct {
	Kind   string `json:"kind"`
	Queues int    `json:"queues"`
	// OpenNs is the time to open the datapath with its AF_XDP sockets, BindNs to make a socket and bind it, SendNs the
	// first send to its completion, FirstNs all of it from the start of the process.
	OpenNs     int64 `json:"open_ns"`
	BindNs     int64 `json:"bind_ns"`
	SendNs     int64 `json:"first_send_ns"`
	FirstNs    int64 `json:"first_datagram_ns"`
	FirstMinNs int64 `json:"first_datagram_min_ns"`
	FirstMaxNs int64 `json:"first_datagram_max_ns"`
	// RSSBytes is resident memory at rest. UMEMBytes of it are chunks, which count against RLIMIT_MEMLOCK of a user
	// without CAP_IPC_LOCK.
	RSSBytes  uint64 `json:"rss_bytes"`
	UMEMBytes uint64 `json:"umem_bytes"`
	// IdleCPU is CPU time per time at rest, 1 being one processor; null when it was not measured.
	IdleCPU *float64 `json:"idle_cpu"`
	Runs    int      `json:"runs"`
}

func newReport(c *Config, all []*contestant, load float64) *Report {
	r := &Report{
		Schema: Schema, Footprint: []Result{}, Host: host.Measured(load), SettleNs: c.Settle.Nanoseconds(), IdleNs: c.Idle.Nanoseconds(),
	}
	for _, who := range all {
		if len(who.runs) == 0 {
			continue
		}
		of := func(figure func(*run) time.Duration) stats.Spread {
			var values []float64
			for i := range who.runs {
				values = append(values, float64(figure(&who.runs[i])))
			}
			return stats.SpreadOf(values)
		}
		first := of(func(r *run) time.Duration { return r.first })
		res := Result{
			Kind: who.kind, Queues: who.queues, Runs: len(who.runs), RSSBytes: who.rss, UMEMBytes: who.runs[0].UMEM,
			OpenNs:  int64(of(func(r *run) time.Duration { return r.Open }).Median),
			BindNs:  int64(of(func(r *run) time.Duration { return r.Bind }).Median),
			SendNs:  int64(of(func(r *run) time.Duration { return r.First }).Median),
			FirstNs: int64(first.Median), FirstMinNs: int64(first.Min), FirstMaxNs: int64(first.Max),
		}
		if who.idle >= 0 {
			idle := stats.Round(who.idle, 6)
			res.IdleCPU = &idle
		}
		r.Footprint = append(r.Footprint, res)
	}
	return r
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	var t output.Table
	t.Row("kind", "queues", "open", "bind", "first send", "start to first datagram", "least–most", "RSS", "of it UMEM", "idle CPU", "runs")
	for _, res := range r.Footprint {
		idle := "-"
		if res.IdleCPU != nil {
			idle = fmt.Sprintf("%.3f %%", 100**res.IdleCPU)
		}
		t.Row(res.Kind, fmt.Sprint(res.Queues), short(res.OpenNs), short(res.BindNs), short(res.SendNs), short(res.FirstNs),
			short(res.FirstMinNs)+"–"+short(res.FirstMaxNs), units.Bytes(res.RSSBytes), units.Bytes(res.UMEMBytes), idle, fmt.Sprint(res.Runs))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s · idle CPU over %v, in shares of one CPU, %v after the first datagram\n",
		r.Host.Line(), time.Duration(r.IdleNs), time.Duration(r.SettleNs))
	return err
}

// short is a duration at three digits or so.
func short(ns int64) string {
	switch d := time.Duration(ns); {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", float64(d)/1e3)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	default:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	}
}
