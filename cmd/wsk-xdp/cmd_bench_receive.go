// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/receive"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

func (a *app) benchReceiveCommand() *cobra.Command {
	var config receive.Config
	var out benchOutput
	rates := units.Rates{{}}
	c := &cobra.Command{
		Use:   "receive",
		Short: "Measure how many datagrams a second reach an application, and at what cost",
		Long: lines("Measures in a laboratory of its own. The sender and the receiver are processes on a CPU each. The sender xdp has the",
			"kernel make copies of one frame and hand them to the receiving interface like a driver; wsk-batch is that of bench.",
			"Every round runs all engines, every other round in reverse order; ratios are taken within a round, to "+receive.Reference+".",
			"Needs root, for XDP programs.",
			"", "engines:", summaries(receive.Engines(), receive.Summary)),
		Example: lines("  sudo wsk-xdp bench receive",
			"  sudo wsk-xdp bench receive --rate max,200k --json > receive.json"),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if config.Rates, err = rates.Whole(); err != nil {
				return exit.Usagef("--rate: %w", err)
			}
			if err := config.Check(); err != nil {
				return exit.Usagef("%w", err)
			}
			if !out.quiet {
				config.Progress = a.receiveProgress
			}
			return a.measurePart(c.Context(), &out, &config.Child, func(ctx context.Context) (benchDocument, error) {
				return document(receive.Run(ctx, config))
			})
		},
	}
	config.Duration, config.Warmup, config.BusyPoll = check.DefaultDuration, check.DefaultWarmup, check.DefaultBusyPoll
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&config.Engines, "engines", receive.Engines(), "engines to compare")
	fl.StringVar(&config.Sender, "sender", receive.Senders()[0], "who sends: "+strings.Join(receive.Senders(), " or "))
	fl.VarP(&rates, "rate", "r", "datagrams a second to offer, one comparison each: max,200k")
	fl.IntVarP(&config.Size, "size", "s", check.DefaultSize, "frame size with FCS")
	fl.IntVar(&config.Runs, "runs", check.DefaultRuns, "runs of every engine")
	fl.VarP((*units.Duration)(&config.Duration), "duration", "d", "counted time of a run")
	fl.Var((*units.Duration)(&config.Warmup), "warmup", "time before it, from the first datagram that is delivered")
	fl.Var((*units.Duration)(&config.BusyPoll), "busy-poll", "how long busy engines let the driver run at a time")
	fl.BoolVar(&config.Unpinned, "unpinned", false, "let the scheduler choose the CPUs")
	out.add(fl, receive.Schema)
	return c
}

func (a *app) receiveProgress(p receive.Progress) {
	if p.Err != nil {
		a.note(fmt.Sprintf("[rate %d, round %d] %-11s failed: %v", p.Rate, p.Round+1, p.Engine, p.Err))
		return
	}
	a.note(fmt.Sprintf("[rate %d, round %d] %-11s %s", p.Rate, p.Round+1, p.Engine, units.PacketRate(p.PPS)))
}
