// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/latency"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

func (a *app) benchLatencyCommand() *cobra.Command {
	var config latency.Config
	var out benchOutput
	c := &cobra.Command{
		Use:   "latency",
		Short: "Measure how long a datagram takes: round trip, idle send, loaded send, tail",
		Long: lines("Measures in a laboratory of its own, with a process at each end. Round trips are those of one datagram at a time, sent",
			"back by an echo of the same kind; sends end with the completion of the IRP, or the return of the call for a kernel",
			"socket. Every round runs all engines, every other round in reverse order; ratios are taken within a round, to "+latency.Reference+".",
			"Needs root, for XDP programs.",
			"", "engines:", summaries(latency.Engines(), latency.Summary)),
		Example: lines("  sudo wsk-xdp bench latency",
			"  sudo wsk-xdp bench latency --measures round-trip --interval 1ms --json > latency.json"),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := config.Check(); err != nil {
				return exit.Usagef("%w", err)
			}
			if !out.quiet {
				config.Progress = a.latencyProgress
			}
			return a.measurePart(c.Context(), &out, &config.Child, func(ctx context.Context) (benchDocument, error) {
				return document(latency.Run(ctx, config))
			})
		},
	}
	config.Duration, config.Warmup, config.BusyPoll = check.DefaultDuration, check.DefaultWarmup, check.DefaultBusyPoll
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&config.Measures, "measures", latency.Measures(), "what to measure")
	fl.StringSliceVar(&config.Engines, "engines", latency.Engines(), "engines to compare")
	fl.IntVarP(&config.Size, "size", "s", check.DefaultSize, "frame size with FCS")
	fl.IntVar(&config.Runs, "runs", check.DefaultRuns, "runs of every engine")
	fl.VarP((*units.Duration)(&config.Duration), "duration", "d", "recorded time of a run")
	fl.Var((*units.Duration)(&config.Warmup), "warmup", "time before it")
	fl.Var((*units.Duration)(&config.Interval), "interval", "pause between a reply and the next send (default: none)")
	fl.StringVar(&config.CPUs, "cpus", latency.Placements()[0], "CPUs of the two ends of a round trip: "+strings.Join(latency.Placements(), ", "))
	fl.Var((*units.Duration)(&config.BusyPoll), "busy-poll", "how long busy engines let the driver run at a time")
	fl.Lookup("interval").DefValue = "0"
	out.add(fl, latency.Schema)
	return c
}

func (a *app) latencyProgress(p latency.Progress) {
	if p.Err != nil {
		a.note(fmt.Sprintf("[%s, round %d] %-10s failed: %v", p.Measure, p.Round+1, p.Engine, p.Err))
		return
	}
	a.note(fmt.Sprintf("[%s, round %d] %-10s p50 %v, p99 %v", p.Measure, p.Round+1, p.Engine, p.P50, p.P99))
}

// summaries lists engines for a help text.
func summaries(names []string, summary func(string) string) string {
	var out []string
	for _, name := range names {
		out = append(out, fmt.Sprintf("  %-13s %s", name, summary(name)))
	}
	return strings.Join(out, "\n")
}
