// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/footprint"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

func (a *app) benchFootprintCommand() *cobra.Command {
	var config footprint.Config
	var out benchOutput
	c := &cobra.Command{
		Use:   "footprint",
		Short: "Measure what a provider costs at rest: start-up, memory, idle CPU",
		Long: lines("Starts processes that open, send one datagram and rest, each in a laboratory of its own, several times in turn. The last",
			"ones are left to rest, all at the same time, and their memory and CPU time taken. Needs root, for XDP programs.",
			"", "kinds:", summaries(footprint.Kinds(), footprint.Summary)),
		Example: lines("  sudo wsk-xdp bench footprint",
			"  sudo wsk-xdp bench footprint --kinds receive --queues 1,2,4,8 --idle 60s"),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := config.Check(); err != nil {
				return exit.Usagef("%w", err)
			}
			if !out.quiet {
				config.Progress = a.footprintProgress
			}
			return a.measurePart(c.Context(), &out, &config.Child, func(ctx context.Context) (benchDocument, error) {
				return document(footprint.Run(ctx, config))
			})
		},
	}
	config.Settle, config.Idle = footprint.DefaultSettle, footprint.DefaultIdle
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&config.Kinds, "kinds", footprint.Kinds(), "kinds of processes")
	fl.IntSliceVar(&config.Queues, "queues", footprint.DefaultQueues(), "numbers of queues of providers")
	fl.IntVar(&config.Runs, "runs", check.DefaultRuns, "starts of each")
	fl.Var((*units.Duration)(&config.Settle), "settle", "rest before the idle time")
	fl.Var((*units.Duration)(&config.Idle), "idle", "idle time in which CPU time is taken; 0: none")
	out.add(fl, footprint.Schema)
	return c
}

func (a *app) footprintProgress(p footprint.Progress) {
	what := fmt.Sprintf("[round %d] %-8s %2d queues", p.Round+1, p.Kind, p.Queues)
	if p.Err != nil {
		a.note(fmt.Sprintf("%s failed: %v", what, p.Err))
		return
	}
	a.note(fmt.Sprintf("%s first datagram after %v", what, p.First.Round(100*time.Microsecond)))
}
