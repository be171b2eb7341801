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
	c := &cobra.Command{
		Use:   "receive",
		Short: "Measure how many datagrams a second reach an application, and at what cost",
		Long: lines("Measures in a laboratory of its own. The sender and the receiver are processes on a CPU each. The sender xdp has the",
			"kernel make copies of one frame and hand them to the receiving interface like a driver; wsk-batch is that of bench.",
			"Every round runs all engines, every other round in reverse order; ratios are taken within a round, to "+receive.Reference+".",
			"Needs root, for XDP programs.",
			"", "engines:", summaries(receive.Engines(), receive.Summary)),
		Example: lines("  sudo wsk-xdp bench receive",
			"  sudo wsk-xdp bench receive --rate 0,200000 --json > receive.json"),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
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
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&config.Engines, "engines", receive.Engines(), "engines to compare")
	fl.StringVar(&config.Sender, "sender", receive.Senders()[0], "who sends: "+strings.Join(receive.Senders(), " or "))
	fl.IntSliceVarP(&config.Rates, "rate", "r", []int{0}, "datagrams a second to offer, one comparison each; 0: as many as possible")
	fl.IntVarP(&config.Size, "size", "s", check.DefaultSize, "frame size with FCS")
	fl.IntVar(&config.Runs, "runs", check.DefaultRuns, "runs of every engine")
	fl.DurationVarP(&config.Duration, "duration", "d", check.DefaultDuration, "counted time of a run")
	fl.DurationVar(&config.Warmup, "warmup", check.DefaultWarmup, "time before it, from the first datagram that is delivered")
	fl.DurationVar(&config.BusyPoll, "busy-poll", check.DefaultBusyPoll, "how long busy engines let the driver run at a time")
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
