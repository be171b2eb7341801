// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

type benchFlags struct {
	config    bench.Config
	sizes     units.Sizes
	to        []string
	externals []string
	out       benchOutput
	baseline  string
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "Compare ways to send the same datagrams, counted where they arrive",
		Long: lines("Sends the same UDP datagrams by several engines in turn, each in a process of its own, and counts them where they arrive:",
			"without --interface in a laboratory. Ratios are taken within a round. As root, or in a user namespace: unshare -Urn. Engines:",
			summaries(bench.DefaultEngines(), bench.Summary),
			"and, when they are named: frames and xdp, which are those of blast, and sendmmsg-raw, on a prepared vector"),
		Example: lines("  sudo wsk-xdp bench --engines wsk-batch,frames,xdp --size 64,1518 --runs 9 --json > bench.json",
			"  sudo wsk-xdp bench --external 'c=./xsk_tx -i {if} -q 0 -l {frame} -b 64 -B 256 -t {duration}'"),
		Args: noArguments,
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
	f.sizes = units.OneSize(check.DefaultSize)
	f.config.Duration, f.config.Warmup = check.DefaultDuration, check.DefaultWarmup
	c.SetUsageTemplate(tallUsage)
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&f.config.Engines, "engines", bench.DefaultEngines(), "engines to compare")
	fl.StringArrayVar(&f.externals, "external", nil, "another program's sender, as `name=command`; may be repeated; see docs/benchmarks.md")
	fl.VarP(&f.sizes, "size", "s", "frame sizes with FCS, one comparison each: 64,512,1518")
	fl.IntVar(&f.config.Queues, "queues", 1, "transmit queues, and goroutines that send")
	fl.IntVar(&f.config.Destinations, "destinations", 1, "destination addresses in the laboratory, taken in turn")
	fl.IntSliceVar(&f.config.MTUs, "mtu", nil, "`MTUs` of the laboratory; from the second on engines are called NAME@MTU (default 1500 or as sizes need)")
	fl.IntVar(&f.config.Runs, "runs", check.DefaultRuns, "runs of every engine")
	fl.VarP((*units.Duration)(&f.config.Duration), "duration", "d", "counted time of a run")
	fl.Var((*units.Duration)(&f.config.Warmup), "warmup", "time before it, from the first datagram that arrives")
	fl.IntSliceVar(&f.config.Pin, "pin", nil, "`CPUs` for the sending threads, in turn")
	fl.StringVarP(&f.config.Interface, "interface", "i", "", "send through this interface, and count there, instead of a laboratory")
	fl.StringArrayVar(&f.to, "to", nil, "destination `address:port` on that interface; may be repeated")
	f.out.addFile(fl)
	fl.Lookup("force").Usage = "send even where others suffer (ssh, default route); overwrite an output file"
	fl.StringVar(&f.baseline, "baseline", "", "compare with an earlier document in this `file`")
	f.out.addJSON(fl, bench.Schema)
	c.AddCommand(a.benchLatencyCommand(), a.benchReceiveCommand(), a.benchFootprintCommand(), a.benchScaleCommand(),
		a.benchEngineCommand(), a.benchPartCommand())
	return c
}

// benchEngineCommand is the child process of one run. Its job comes on standard input.
func (a *app) benchEngineCommand() *cobra.Command {
	return &cobra.Command{
		Use: "engine", Hidden: true, Short: "Send as the job on standard input says (used by bench itself)", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return bench.Child(c.Context(), a.stdin, output.Raw(a.stdout))
		},
	}
}

func (f *benchFlags) parse() error {
	f.config.Externals, f.config.To = nil, nil
	var err error
	if f.config.Sizes, err = f.sizes.Each(); err != nil {
		return fmt.Errorf("--size: %w", err)
	}
	for _, s := range f.externals {
		e, err := bench.ParseExternal(s)
		if err != nil {
			return fmt.Errorf("--external %w", err)
		}
		f.config.Externals = append(f.config.Externals, e)
	}
	for _, s := range f.to {
		ap, err := netip.ParseAddrPort(s)
		if why := badPort(s); why != "" {
			return fmt.Errorf("--to %q %s", s, why)
		}
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
			return exit.Usagef("--baseline: %w", err)
		}
	}
	f.config.Force = f.out.force
	f.config.Warn = func(text string) { a.warn(text) }
	if !f.out.quiet {
		f.config.Progress = a.benchProgress
	}
	var r *bench.Report
	if f.config.Interface != "" {
		if err := interfacesThere(f.config.NetNS, "--interface ", f.config.Interface); err != nil {
			return err
		}
	}
	err := a.measure(ctx, &f.out, "engine", &f.config.Child, func(ctx context.Context) (_ benchDocument, err error) {
		r, err = bench.Run(ctx, f.config)
		return document(r, err)
	})
	if r == nil || earlier == nil {
		return err
	}
	text := a.stdout
	if f.out.onStdout() {
		text = a.stderr // beside the document
	}
	return errors.Join(err, r.WriteComparison(text, earlier))
}

func (a *app) benchProgress(p bench.Progress) {
	if p.Err != nil {
		a.note(fmt.Sprintf("[%d bytes, round %d] %-13s failed: %v", p.Size, p.Round+1, p.Engine, p.Err))
		return
	}
	a.note(fmt.Sprintf("[%d bytes, round %d] %-13s %s", p.Size, p.Round+1, p.Engine, units.PacketRate(p.PPS)))
}
