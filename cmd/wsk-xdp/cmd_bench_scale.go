// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/scale"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

func (a *app) benchScaleCommand() *cobra.Command {
	var config scale.Config
	var out benchOutput
	c := &cobra.Command{
		Use:   "scale",
		Short: "Measure sending as destinations, sockets, routes and their changes grow",
		Long: lines("Sends small datagrams to destinations at random behind one gateway, in a laboratory of its own, at one point after the other:",
			"each list is gone through while the others stay at their first value, and destinations at --beside. Every round has all",
			"engines at all points, every other round in reverse. A few minutes. Needs root, for XDP programs.",
			"", "engines:", summaries(scale.Names(), scale.Summary)),
		Example: lines("  sudo wsk-xdp bench scale",
			"  sudo wsk-xdp bench scale --destinations 1,1000000 --routes 1,1000000 --every --sockets 1 --changes 0 --runs 9"),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := config.Check(); err != nil {
				return exit.Usagef("%w", err)
			}
			if !out.quiet {
				config.Progress = a.scaleProgress
			}
			return a.measurePart(c.Context(), &out, &config.Child, func(ctx context.Context) (benchDocument, error) {
				return document(scale.Run(ctx, config))
			})
		},
	}
	config.Duration, config.Warmup = scale.DefaultDuration, scale.DefaultWarmup
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&config.Engines, "engines", scale.Names(), "engines to compare")
	fl.IntSliceVar(&config.Families, "ip", []int{4, 6}, "IP versions")
	fl.IntSliceVar(&config.Destinations, "destinations", scale.DefaultDestinations(), "numbers of destinations")
	fl.IntSliceVar(&config.Sockets, "sockets", scale.DefaultSockets(), "numbers of sockets, of which each datagram takes one")
	fl.IntSliceVar(&config.Changes, "changes", scale.DefaultChanges(), "changes a second of a route that nothing is sent by")
	fl.IntSliceVar(&config.Routes, "routes", scale.DefaultRoutes(), "numbers of routes in the table")
	fl.IntVar(&config.Beside, "beside", scale.DefaultBeside, "destinations while the others grow")
	fl.BoolVar(&config.Every, "every", false, "measure every combination")
	fl.IntVar(&config.Runs, "runs", scale.DefaultRuns, "runs of every engine at every point")
	fl.VarP((*units.Duration)(&config.Duration), "duration", "d", "counted time of a run")
	fl.Var((*units.Duration)(&config.Warmup), "warmup", "time before it; and 3 µs for each route")
	out.add(fl, scale.Schema)
	return c
}

func (a *app) scaleProgress(p scale.Progress) {
	what := fmt.Sprintf("[round %d] %-4s %s", p.Round+1, p.Engine, p.Point)
	if p.Err != nil {
		a.note(fmt.Sprintf("%s failed: %v", what, p.Err))
		return
	}
	a.note(fmt.Sprintf("%s: %s", what, units.PacketRate(p.PPS)))
}
