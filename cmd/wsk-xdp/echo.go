// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/echo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

type echoFlags struct {
	engine     string
	interfaces []string
	any        bool
	delay      units.Duration
	drop       units.Share
	seed       uint64
	lasts      units.Duration
	out        formatFlags

	local netip.AddrPort // an invalid address is every one
}

func (a *app) echoCommand() *cobra.Command {
	f := echoFlags{}
	c := &cobra.Command{
		Use: "echo [ADDR]:PORT", Aliases: []string{"reflect"},
		Short: "Answer the pings that come to a port",
		Long: lines("Sends what wsk-xdp ping sent back to it, marked as an answer, from the address that it was sent to. Ctrl-C ends it with a report.",
			"So that nobody is made to answer for ever, or to answer those who have not asked, it leaves alone: what is no ping (--any answers",
			"that too), every answer, what comes from a broadcast or multicast address, from port 0 or from its own port number, and what was",
			"sent to a group. With --any nothing is answered to ports below 1024 but pings; even so two of them can be set on each other by a",
			"forged datagram: --any is for laboratories.",
			"Engine udp is the kernel's socket and takes nothing from the host; wsk attaches an XDP program to an interface.",
			"Exit code 1 if nothing was answered in the time of --for, or if it could receive no more."),
		Example: lines("  wsk-xdp echo :9000", "  wsk-xdp echo 10.77.0.2:9000 --delay 20ms --drop 1% --for 30s --json > echo.json",
			"  sudo wsk-xdp echo 10.77.0.2:9000 --engine wsk -i wsk1"),
		Args: oneListen,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(args[0]); err != nil {
				return err
			}
			return a.withNetNS(func(ns *netns.NS) error { return a.echo(c.Context(), &f, ns) })
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.engine, "engine", "udp", "what receives and answers: `udp|wsk`")
	fl.StringSliceVarP(&f.interfaces, "interface", "i", nil, "interfaces that engine wsk receives from")
	fl.BoolVar(&f.any, "any", false, "answer datagrams that are no pings, too, as they are")
	fl.Var(&f.delay, "delay", "answer so long after a ping came")
	fl.Var(&f.drop, "drop", "leave this share of the pings unanswered, as in 1%: the same ones whenever their numbers come")
	fl.Uint64Var(&f.seed, "seed", 0, "drop others")
	fl.Var(&f.lasts, "for", "end after this time")
	f.out.add(a, fl, echo.Schema)
	f.out.addForce(fl)
	for _, name := range []string{"for", "delay", "drop", "seed"} {
		fl.Lookup(name).DefValue = "0"
	}
	return c
}

func (f *echoFlags) check(listen string) (err error) {
	if err := f.out.check(); err != nil {
		return err
	}
	if f.local, err = parseListen(listen); err != nil {
		return err
	}
	if f.local.Addr().IsMulticast() {
		return exit.Usagef("%v is a group, and echo answers nothing that is sent to one", f.local.Addr())
	}
	if delay := time.Duration(f.delay); delay > maxEchoDelay {
		return exit.Usagef("--delay %v is more than %v", delay, maxEchoDelay)
	}
	return checkReceiver(f.engine, f.interfaces)
}

// maxEchoDelay is how long an answer may be held: ping waits no longer.
const maxEchoDelay = maxPingTimeout

// echoEngine is what receives and answers.
type echoEngine interface {
	Name() string
	Drops() map[string]uint64
	Broken() <-chan struct{}
	Close() error
}

func (a *app) echo(ctx context.Context, f *echoFlags, ns *netns.NS) error {
	meter := echo.NewMeter()
	engine, err := a.openEcho(ctx, f, ns, meter)
	if err != nil {
		return listenError(f.engine, f.local, err)
	}
	r := &echo.Report{
		Head: host.NewHead(echo.Schema), Warnings: []string{}, Intervals: []echo.IntervalReport{},
		Config: echo.Config{
			Listen: listenText(f.local), Engine: f.engine, Interfaces: f.interfaces, Any: f.any, For: time.Duration(f.lasts).Nanoseconds(),
			Delay: time.Duration(f.delay).Nanoseconds(), DropMillionths: uint64(f.drop), Seed: f.seed,
		},
	}
	f.out.head(&r.Head)
	what := "pings are answered, and nothing else"
	if f.any {
		what = "everything is answered"
		r.Warnings = append(r.Warnings, "--any answers whoever asks, and can be set on another echo: for laboratories only")
	}
	if f.delay > 0 {
		what += fmt.Sprintf(", after %v", time.Duration(f.delay))
	}
	if f.drop > 0 {
		what += fmt.Sprintf(" · %v of the pings dropped (seed %d)", f.drop, f.seed)
	}
	a.note("wsk-xdp echo "+r.Config.Listen, fmt.Sprintf("  engine %s · %s · kernel %s", engine.Name(), what, host.Kernel()))
	if f.engine == "wsk" {
		r.Warnings = append(r.Warnings, attachedText(f.interfaces))
	}
	a.warn(r.Warnings...)
	begun, cpu := time.Now(), host.CPUTime()
	out := a.stream(&f.out)
	out.Begin(echo.Schema, r.Config, echo.IntervalReport{})
	var seconds echo.Seconds
	a.watchEcho(ctx, f, engine, func(elapsed time.Duration, line *echo.Line) string {
		c, drops := meter.Now(), engine.Drops()
		i := seconds.Next(elapsed, c, drops)
		r.Intervals = append(r.Intervals, i)
		out.Interval(echo.Schema, i)
		return line.Next(elapsed, c, drops)
	})
	r.Interrupted = ctx.Err() != nil
	r.CPU, r.Elapsed = host.CPUTime().Sub(cpu).Total().Nanoseconds(), time.Since(begun).Nanoseconds()
	drops := engine.Drops()
	err = engine.Close() // then every answer has ended
	c := meter.Now()
	r.Fill(c, drops)
	if i, ok := seconds.Last(time.Duration(r.Elapsed), c, drops); ok {
		r.Intervals = append(r.Intervals, i)
		out.Interval(echo.Schema, i)
	}
	err = errors.Join(err, out.End(echo.Schema, r, r.Table()))
	if r.Totals.Answered == 0 && !r.Interrupted {
		err = errors.Join(err, errors.New(r.Verdict.Text))
	}
	return err
}

// watchEcho shows the live line that second makes, about every second until the end.
func (a *app) watchEcho(ctx context.Context, f *echoFlags, engine echoEngine, second func(time.Duration, *echo.Line) string) {
	if f.lasts > 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(f.lasts))
		defer cancel()
		ctx = limited
	}
	live, line := output.NewLive(f.out.live()), &echo.Line{}
	defer live.End()
	begun, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			live.Show(second(time.Since(begun), line))
		case <-engine.Broken():
			return
		case <-ctx.Done():
			return
		}
	}
}

func (a *app) openEcho(ctx context.Context, f *echoFlags, ns *netns.NS, meter *echo.Meter) (echoEngine, error) {
	rule := echo.Rule{Port: f.local.Port(), Any: f.any, Path: echo.Path{Delay: time.Duration(f.delay), Drop: f.drop, Seed: f.seed}}
	if f.engine == "wsk" {
		if err := interfacesThere(ns, "--interface ", f.interfaces...); err != nil {
			return nil, err
		}
		return echo.OpenWSK(ctx, ns.FD(), f.interfaces, f.local, rule, meter, a.logger())
	}
	return echo.OpenUDP(ns, f.local, rule, meter)
}
