// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Defaults and limits of recv.
const (
	defaultWindow = 1 << 16
	maxWindow     = 1 << 24
	defaultDrain  = 500 * time.Millisecond
	maxDrain      = 20 * time.Second // senders wait for their report a little longer than that
)

type recvFlags struct {
	engine     string
	interfaces []string
	window     int
	verify     recv.Verify
	drain      units.Duration
	lasts      units.Duration
	expect     units.Count
	oneOff     bool
	out        formatFlags

	local netip.AddrPort // an invalid address is every one
}

func (a *app) recvCommand() *cobra.Command {
	f := recvFlags{window: defaultWindow, drain: units.Duration(defaultDrain)}
	c := &cobra.Command{
		Use: "recv [ADDR]:PORT", Aliases: []string{"sink"},
		Short: "Count datagrams and say how many are missing",
		Long: lines("Counts the datagrams that come to a port. Those of blast are numbered: it says how many were received, lost, duplicated,",
			"reordered and by how many places, late or corrupt, for up to 64 runs at once. On the same port number, over TCP, it answers",
			"blast --peer, and does nothing for it but count its run. It ends, with its report, as --for, --expect or --one-off say, or by Ctrl-C.",
			"Engine udp is the kernel's socket and takes nothing from the host; wsk attaches an XDP program to an interface; xdp attaches one that",
			"accounts for the packets there and drops them, for rates above what reaches user space. What that leaves to the kernel (fragments,",
			"groups, other interfaces) is not accounted for, but counted: through_kernel_stack.",
			"Exit code 1 if it ended by itself and nothing came, if less than --expect came, or if it could receive no more."),
		Example: lines("  wsk-xdp recv :9000", "  wsk-xdp recv :9000 --one-off --json > received.json",
			"  sudo wsk-xdp recv 10.77.0.2:9000 --engine wsk -i wsk1 --for 30s",
			"  sudo wsk-xdp recv :9000 --engine xdp -i wsk1"),
		Args: oneListen,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(args[0]); err != nil {
				return err
			}
			return a.withNetNS(func(ns *netns.NS) error { return a.recv(c.Context(), &f, ns) })
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.engine, "engine", "udp", "what receives: `udp|wsk|xdp`")
	fl.StringSliceVarP(&f.interfaces, "interface", "i", nil, "interfaces that engine wsk or xdp receives from; xdp has the one that there is unless there are several")
	fl.IntVar(&f.window, "window", f.window, "how many numbers of a stream are told apart; what is older is late")
	fl.Var(&f.verify, "verify", "look at payloads that a peer has announced, at numbers only, or just count and answer no peer")
	fl.Var(&f.drain, "drain", "how long to wait for the stragglers of a run when its peer has sent everything")
	fl.Var(&f.lasts, "for", "end after this time")
	fl.Var(&f.expect, "expect", "end after so many packets, and fail if fewer come")
	fl.BoolVar(&f.oneOff, "one-off", false, "end with the first run: when its peer has its report, or nothing came for two seconds")
	f.out.add(a, fl, recv.Schema)
	f.out.addForce(fl)
	for _, name := range []string{"for", "expect"} {
		fl.Lookup(name).DefValue = "0"
	}
	return c
}

// oneListen is the rule for arguments of commands that listen.
func oneListen(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return exit.Usagef("give [ADDR]:PORT, as in %s :9000", c.CommandPath())
	case len(args) > 1:
		return exit.Usagef("give one [ADDR]:PORT, not %d arguments: %s", len(args), strings.Join(args, " "))
	}
	return nil
}

func (f *recvFlags) check(listen string) (err error) {
	if err := f.out.check(); err != nil {
		return err
	}
	if f.local, err = parseListen(listen); err != nil {
		return err
	}
	if err := f.checkEngine(); err != nil {
		return err
	}
	drain := time.Duration(f.drain)
	switch {
	case f.window < 64 || f.window > maxWindow || f.window%64 != 0:
		return exit.Usagef("--window %d: a window is 64 to %s, in steps of 64", f.window, units.Grouped(maxWindow))
	case f.oneOff && f.verify == recv.VerifyNothing:
		return exit.Usagef("--one-off and --verify none: without numbers no run is known, so that none ends")
	case drain > maxDrain:
		return exit.Usagef("--drain %v is more than %v", drain, maxDrain)
	}
	return nil
}

// checkEngine refuses an engine of recv that there is not, and one without what it needs.
func (f *recvFlags) checkEngine() error {
	switch a := f.local.Addr(); {
	case f.engine != "xdp" && f.engine != "udp" && f.engine != "wsk":
		return exit.Usagef("--engine %q is none of udp, wsk, xdp", f.engine)
	case f.engine != "xdp":
		return checkReceiver(f.engine, f.interfaces)
	case a.IsMulticast() || a.IsLoopback():
		return exit.Usagef("--engine xdp takes what comes to the host's own addresses from the wire, and %v is none of those: use --engine udp", a)
	}
	return nil
}

// checkReceiver refuses an engine that there is not, and one without what it needs.
func checkReceiver(engine string, interfaces []string) error {
	switch {
	case engine != "udp" && engine != "wsk":
		return exit.Usagef("--engine %q is neither udp nor wsk", engine)
	case engine == "wsk" && len(interfaces) == 0:
		return exit.Usagef("--engine wsk attaches an XDP program: name the interface with -i")
	case engine == "udp" && len(interfaces) > 0:
		return exit.Usagef("--interface goes with --engine wsk: with udp, listen on an address of the interface")
	}
	return nil
}

// parseListen parses [ADDR]:PORT; the result's address is invalid where every one is meant.
func parseListen(s string) (netip.AddrPort, error) {
	if port, ok := strings.CutPrefix(s, ":"); ok {
		var p units.Ports
		if err := p.Set(port); err != nil || p.Len() != 1 {
			return netip.AddrPort{}, exit.Usagef("%q has %q in place of a port: ports are 1 to 65535", s, port)
		}
		return netip.AddrPortFrom(netip.Addr{}, p.At(0)), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return ap, exit.Usagef("%q %s, or :9000 for every address", s, notAnEndpoint(s))
	}
	if ap.Port() == 0 {
		return ap, exit.Usagef("%q: ports are 1 to 65535", s)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

func (a *app) recv(ctx context.Context, f *recvFlags, ns *netns.NS) (err error) {
	sink, err := recv.NewSink(f.window, f.verify)
	if err != nil {
		return err
	}
	if err := f.pickInterfaces(ns); err != nil {
		return err
	}
	engine, err := a.openReceiver(ctx, f, ns, sink)
	if err != nil {
		return listenError(f.engine, f.local, err)
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	control, err := recv.Listen(ns, f.local, sink, engine, time.Duration(f.drain))
	if err != nil {
		return listenError(f.engine, f.local, err)
	}
	defer control.Close()
	r := f.report()
	f.out.head(&r.Head)
	a.note(fmt.Sprintf("wsk-xdp recv %s", r.Config.Listen),
		fmt.Sprintf("  engine %s · window %s · blast --peer is answered on TCP · kernel %s", f.engine, units.Grouped(uint64(f.window)), host.Kernel()))

	r.Warnings = append(r.Warnings, f.warnings(engine)...)
	a.warn(r.Warnings...)
	begun, cpu := time.Now(), host.CPUTime()
	live, line, seconds := output.NewLive(f.out.live()), &recv.Line{}, &recv.Seconds{}
	out := a.stream(&f.out)
	out.Begin(recv.Schema, r.Config, recv.IntervalReport{})
	recv.Wait(ctx, recv.Until{
		For: time.Duration(f.lasts), Expect: uint64(f.expect), OneOff: f.oneOff,
		OnSecond: func(elapsed time.Duration) {
			i := seconds.Next(elapsed, sink, engine)
			r.Intervals = append(r.Intervals, i)
			out.Interval(recv.Schema, i)
			live.Show(line.Next(elapsed, sink, engine))
		},
	}, sink, control)
	live.End()
	r.Interrupted = ctx.Err() != nil
	r.CPU, r.Elapsed = host.CPUTime().Sub(cpu).Total().Nanoseconds(), time.Since(begun).Nanoseconds()
	r.Fill(sink, engine)
	if i, ok := seconds.Last(time.Duration(r.Elapsed), sink, engine); ok {
		r.Intervals = append(r.Intervals, i)
		out.Interval(recv.Schema, i)
	}
	return errors.Join(out.End(recv.Schema, r, r.Tables()...), f.failure(r))
}

// openReceiver opens the engine.
func (a *app) openReceiver(ctx context.Context, f *recvFlags, ns *netns.NS, sink *recv.Sink) (recv.Engine, error) {
	switch f.engine {
	case "wsk":
		return recv.OpenWSK(ctx, ns.FD(), f.interfaces, f.local, sink, a.logger())
	case "xdp":
		return recv.OpenXDP(ns, f.interfaces, f.local, sink)
	}
	return recv.OpenUDP(ns, f.local, sink)
}

// pickInterfaces refuses names of no interface, and finds the interface of engine xdp where none is named and there is but one.
func (f *recvFlags) pickInterfaces(ns *netns.NS) (err error) {
	if f.engine != "xdp" || len(f.interfaces) > 0 {
		return interfacesThere(ns, "--interface ", f.interfaces...)
	}
	if f.interfaces, err = recv.InterfacesOf(ns, f.local.Addr()); err != nil {
		return err
	}
	switch len(f.interfaces) {
	case 0:
		return exit.Usagef("--engine xdp attaches an XDP program, and no Ethernet interface that is up has that address: name one with -i")
	case 1:
		return nil
	}
	return exit.Usagef("--engine xdp attaches an XDP program: name the interface with -i, of %s", strings.Join(f.interfaces, ", "))
}

// warnings say what an engine does to interfaces.
func (f *recvFlags) warnings(engine recv.Engine) (out []string) {
	if f.engine == "udp" {
		return nil
	}
	out = append(out, attachedText(f.interfaces))
	if g, ok := engine.(interface{ Generic() []string }); ok && len(g.Generic()) > 0 {
		out = append(out, "the driver of "+strings.Join(g.Generic(), ", ")+
			" runs no XDP program now: it runs behind the driver, which costs a socket buffer for each packet")
	}
	return out
}

// interfacesThere refuses names of no interface. flag is what the command line has in front of them.
func interfacesThere(ns *netns.NS, flag string, interfaces ...string) error {
	for _, name := range interfaces {
		if err := ns.Do(func() error { _, err := net.InterfaceByName(name); return err }); err != nil {
			return exit.Usagef("%s%s: there is no interface of that name here: see ip link", flag, name)
		}
	}
	return nil
}

// attachedText says what engine wsk does to the interfaces that it receives from.
func attachedText(interfaces []string) string {
	return "an XDP program is on " + strings.Join(interfaces, ", ") + " until the end, for which some drivers take the link down for seconds"
}

// listenError gives what is in the way of listening a sentence and an exit code.
func listenError(engine string, local netip.AddrPort, err error) error {
	port := local.Port()
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, wsk.STATUS_INVALID_ADDRESS_COMPONENT):
		return exit.Usagef("%v is no address of this host: see ip addr, or write :%d for every address", local.Addr(), port)
	case errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsk.STATUS_ADDRESS_ALREADY_EXISTS) || errors.Is(err, wsk.STATUS_SHARING_VIOLATION):
		return exit.NotPossiblef("port %d is somebody else's, for UDP or for TCP: see ss -lnutp sport = :%d", port, port)
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, wsk.STATUS_ACCESS_DENIED):
		return exit.NotPossiblef("engine %s on port %d: %w", engine, port, err)
	case errors.Is(err, recv.ErrTaken), errors.Is(err, recv.ErrRefused):
		return exit.NotPossiblef("engine %s: %w", engine, err)
	case errors.Is(err, recv.ErrNoEthernet):
		return exit.Usagef("engine %s: %v", engine, err)
	}
	return err
}

// listenText is what is listened on, as it was written.
func listenText(local netip.AddrPort) string {
	if !local.Addr().IsValid() {
		return fmt.Sprintf(":%d", local.Port())
	}
	return local.String()
}

// report begins the report with the configuration.
func (f *recvFlags) report() *recv.Report {
	return &recv.Report{
		Head: host.NewHead(recv.Schema), Warnings: []string{}, Intervals: []recv.IntervalReport{},
		Config: recv.Config{
			Listen: listenText(f.local), Engine: f.engine, Interfaces: f.interfaces, Window: f.window, Verify: f.verify.String(),
			Drain: time.Duration(f.drain).Nanoseconds(), For: time.Duration(f.lasts).Nanoseconds(), Expect: uint64(f.expect), OneOff: f.oneOff,
		},
	}
}

// failure is the error of a receiver to which nothing came, or less than was expected.
func (f *recvFlags) failure(r *recv.Report) error {
	switch n := r.Totals.Packets - r.Totals.Warmup; {
	case n < uint64(f.expect):
		return fmt.Errorf("%s of %s packets came", units.Grouped(n), units.Grouped(uint64(f.expect)))
	case n == 0 && !r.Interrupted:
		return errors.New("nothing came")
	}
	return nil
}
