// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

type benchFlags struct {
	config    bench.Config
	to        []string
	externals []string
	json      bool
	quiet     bool
	output    string
	baseline  string
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "Compare ways to send the same datagrams, counted where they arrive",
		Long: lines("Sends the same UDP datagrams by several engines in turn, each in a process of its own, and counts them at the",
			"receiver. Without --interface in a laboratory of its own, where an XDP program counts and drops them. Every other",
			"round goes in reverse order; ratios are taken within a round. Needs root, or a user namespace: unshare -Urn.",
			"", "engines:", summaries(bench.DefaultEngines(), bench.Summary)),
		Example: lines("  sudo wsk-xdp bench --engines wsk,wsk-batch,udp --size 64,1518 --runs 9 --json > bench.json",
			"  sudo wsk-xdp bench --external 'c=./xsk_tx -i {if} -q 0 -l {frame} -b 64 -B 256 -t {duration}'",
			"  sudo wsk-xdp bench --interface eth1 --to 192.0.2.9:9000 --engines wsk-batch,gso"),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.parse(); err != nil {
				return exit.Usagef("%w", err)
			}
			return a.withNetNS(func(ns *netns.NS) error {
				if ns != nil && f.config.Interface == "" {
					return exit.Usagef("--netns goes with --interface: the laboratory has namespaces of its own")
				}
				f.config.NetNS = ns
				return a.bench(c.Context(), &f)
			})
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&f.config.Engines, "engines", bench.DefaultEngines(), "engines to compare")
	fl.StringArrayVar(&f.externals, "external", nil, "another program's sender, as `name=command`; may be repeated; see docs/benchmarks.md")
	fl.IntSliceVarP(&f.config.Sizes, "size", "s", []int{bench.DefaultSize}, "frame sizes with FCS, one comparison each")
	fl.IntVar(&f.config.Queues, "queues", 1, "transmit queues, and goroutines that send")
	fl.IntVar(&f.config.Destinations, "destinations", 1, "destination addresses in the laboratory, taken in turn")
	fl.IntVar(&f.config.Runs, "runs", bench.DefaultRuns, "runs of every engine")
	fl.DurationVarP(&f.config.Duration, "duration", "d", bench.DefaultDuration, "counted time of a run")
	fl.DurationVar(&f.config.Warmup, "warmup", bench.DefaultWarmup, "time before it, from the first datagram that arrives")
	fl.IntSliceVar(&f.config.Pin, "pin", nil, "`CPUs` for the sending threads, in turn")
	fl.StringVarP(&f.config.Interface, "interface", "i", "", "send through this interface, and count there, instead of a laboratory")
	fl.StringArrayVar(&f.to, "to", nil, "destination `address:port` on that interface; may be repeated")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no line for every run")
	fl.StringVarP(&f.output, "output", "o", "", "write the JSON document to this `file`, too")
	fl.StringVar(&f.baseline, "baseline", "", "compare with an earlier document in this `file`")
	fl.BoolVar(&f.json, "json", false, "one JSON document ("+bench.Schema+") instead of the tables")
	c.AddCommand(a.benchLatencyCommand(), a.benchReceiveCommand(), a.benchFootprintCommand(),
		a.benchEngineCommand(), a.benchPartCommand())
	return c
}

// benchEngineCommand is the child process of one run. Its job comes on standard input.
func (a *app) benchEngineCommand() *cobra.Command {
	return &cobra.Command{
		Use: "engine", Hidden: true, Short: "Send as the job on standard input says (used by bench itself)", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return bench.Child(c.Context(), a.stdin, a.stdout) },
	}
}

func (f *benchFlags) parse() error {
	f.config.Externals, f.config.To = nil, nil
	for _, s := range f.externals {
		e, err := bench.ParseExternal(s)
		if err != nil {
			return fmt.Errorf("--external %w", err)
		}
		f.config.Externals = append(f.config.Externals, e)
	}
	for _, s := range f.to {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return fmt.Errorf("--to %q is no address with a port: write 192.0.2.9:9000", s)
		}
		f.config.To = append(f.config.To, ap)
	}
	return f.config.Check()
}

func (a *app) bench(ctx context.Context, f *benchFlags) error {
	var earlier *bench.Report
	if f.baseline != "" {
		var err error
		if earlier, err = bench.ReadReport(f.baseline); err != nil {
			return err
		}
	}
	if err := tryOutput(f.output); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to start it again: %w", err)
	}
	f.config.Child = []string{self, "bench", "engine"}
	f.config.Warn = func(text string) { a.warn(text) }
	if !f.quiet {
		f.config.Progress = a.benchProgress
	}
	start := time.Now()
	r, err := bench.Run(ctx, f.config)
	if r == nil {
		return a.nothingMeasured(ctx, err)
	}
	interrupted := errors.Is(err, context.Canceled) && ctx.Err() != nil
	if interrupted {
		a.note("interrupted: what was measured until then")
		err = nil
	}
	if !f.quiet {
		a.note(fmt.Sprintf("took %v", time.Since(start).Round(time.Second)))
	}
	return errors.Join(a.benchReport(f, r, earlier), err)
}

// benchReport writes the result to all who want it. Beside JSON on standard output a comparison goes to standard error.
func (a *app) benchReport(f *benchFlags, r, earlier *bench.Report) error {
	var errs []error
	if f.output != "" {
		errs = append(errs, saveReport(f.output, r))
	}
	text := a.stdout
	if f.json {
		text = a.stderr
		errs = append(errs, output.JSON(a.stdout, r))
	} else {
		errs = append(errs, r.WriteTable(a.stdout))
	}
	if earlier != nil {
		errs = append(errs, r.WriteComparison(text, earlier))
	}
	return errors.Join(errs...)
}

// saveReport writes a document to a file.
func saveReport(path string, document any) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return errors.Join(output.JSON(file, document), file.Close())
}

func (a *app) benchProgress(p bench.Progress) {
	if p.Err != nil {
		a.note(fmt.Sprintf("[%d bytes, round %d] %-13s failed: %v", p.Size, p.Round+1, p.Engine, p.Err))
		return
	}
	a.note(fmt.Sprintf("[%d bytes, round %d] %-13s %s", p.Size, p.Round+1, p.Engine, units.PacketRate(p.PPS)))
}
