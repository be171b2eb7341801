// SPDX-License-Identifier: Apache-2.0

package latency

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
const Schema = "wsk-xdp.bench-latency/1"

// Report is the JSON document.
type Report struct {
	Schema string `json:"schema"`
	host.Noted
	Latency []Result  `json:"latency"`
	Host    host.Load `json:"host"`
	Granted Granted   `json:"granted"`
}

// Result is one engine under one measure. P50 to P999 are medians over the runs, P50Min and P50Max the ends of P50; Max
// is the largest of all runs.
type Result struct {
	Measure    string `json:"measure"`
	Engine     string `json:"engine"`
	FrameBytes int    `json:"frame_bytes"`
	P50        int64  `json:"p50_ns"`
	P50Min     int64  `json:"p50_min_ns"`
	P50Max     int64  `json:"p50_max_ns"`
	P90        int64  `json:"p90_ns"`
	P99        int64  `json:"p99_ns"`
	P999       int64  `json:"p999_ns"`
	Max        int64  `json:"max_ns"`
	// RatioP50 and RatioP99 are medians, over the rounds, of the percentile to that of [Reference] in the same round;
	// null without it.
	RatioP50 *float64 `json:"ratio_p50"`
	RatioP99 *float64 `json:"ratio_p99"`
	// Cores is CPU time per time, of the processes at both ends.
	Cores   float64 `json:"cores"`
	Samples uint64  `json:"samples"`
	Lost    uint64  `json:"lost"`
	Runs    int     `json:"runs"`
}

// Granted is under which conditions the engines ran.
type Granted struct {
	DurationNs int64 `json:"duration_ns"`
	WarmupNs   int64 `json:"warmup_ns"`
	IntervalNs int64 `json:"interval_ns"`
	BusyPollNs int64 `json:"busy_poll_ns"`
	// CPUs is the placement of the two ends of a round trip.
	CPUs string `json:"cpus"`
}

func newReport(c *Config, all []*contestant, load float64) *Report {
	r := &Report{Schema: Schema, Latency: []Result{}, Host: host.Measured(load), Granted: Granted{
		DurationNs: c.Duration.Nanoseconds(), WarmupNs: c.Warmup.Nanoseconds(), IntervalNs: c.Interval.Nanoseconds(),
		BusyPollNs: c.BusyPoll.Nanoseconds(), CPUs: c.CPUs,
	}}
	for _, who := range all {
		res := Result{Measure: who.measure, Engine: who.engine.Name(), FrameBytes: c.Size}
		for _, f := range who.Runs {
			if f == nil {
				continue
			}
			res.Runs++
			res.Samples += f.Samples
			res.Lost += f.Lost
			res.Max = max(res.Max, f.Max)
		}
		if res.Runs == 0 {
			continue
		}
		p50 := stats.SpreadOf(who.Runs.Values(p50of))
		res.P50, res.P50Min, res.P50Max = int64(p50.Median), int64(p50.Min), int64(p50.Max)
		res.P90 = int64(who.Runs.Median(func(f *figures) float64 { return float64(f.P90) }))
		res.P99 = int64(who.Runs.Median(p99of))
		res.P999 = int64(who.Runs.Median(func(f *figures) float64 { return float64(f.P999) }))
		res.Cores = stats.Round(who.Runs.Median(func(f *figures) float64 { return f.cores }), 2)
		if base := baseOf(who, all); base != nil {
			res.RatioP50, res.RatioP99 = who.Runs.Ratio(base.Runs, p50of), who.Runs.Ratio(base.Runs, p99of)
		}
		r.Latency = append(r.Latency, res)
	}
	return r
}

func p50of(f *figures) float64 { return float64(f.P50) }
func p99of(f *figures) float64 { return float64(f.P99) }

// baseOf is the reference of the same measure, nil without one.
func baseOf(who *contestant, all []*contestant) *contestant {
	for _, other := range all {
		if other.measure == who.measure && other.engine.Name() == Reference {
			return other
		}
	}
	return nil
}

// WriteTable writes the report for people, in microseconds.
func (r *Report) WriteTable(w io.Writer) error {
	last := ""
	tables := output.Tables{W: w}
	for _, res := range r.Latency {
		if res.Measure != last {
			last = res.Measure
			where := ""
			if last == roundTrip {
				where = " · ends " + r.Granted.CPUs
			}
			tables.Begin(fmt.Sprintf("%s · %d-byte frames (with FCS)%s · µs", res.Measure, res.FrameBytes, where),
				"engine", "p50", "p50 least–most", "p90", "p99", "p99.9", "max", "p50 to "+Reference, "p99 to "+Reference, "cores", "samples",
				"lost", "runs")
		}
		tables.Row(res.Engine, micros(res.P50), micros(res.P50Min)+"–"+micros(res.P50Max), micros(res.P90), micros(res.P99), micros(res.P999),
			micros(res.Max), units.OrDash(res.RatioP50), units.OrDash(res.RatioP99), fmt.Sprintf("%.2f", res.Cores), fmt.Sprint(res.Samples),
			fmt.Sprint(res.Lost), fmt.Sprint(res.Runs))
	}
	if err := tables.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s · %v a run\n", r.Host.Line(), time.Duration(r.Granted.DurationNs))
	return err
}

func micros(ns int64) string { return fmt.Sprintf("%.1f", float64(ns)/1e3) }
