// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	daemon "github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Options describe a session.
type Options struct {
	// NetNS is the descriptor of a network namespace, 0 for the process's own.
	NetNS       int
	Destination netip.AddrPort
	// Source is the address and port to bind to; invalid address or port 0: the kernel's choice.
	Source    netip.AddrPort
	Interface string
	TOS       uint8
	// DontFragment sets DF on everything.
	DontFragment bool
	// Mode is the bind mode of the AF_XDP sockets.
	Mode xdp.Mode
	// Checksum is who computes UDP checksums.
	Checksum datapath.ChecksumMode
	// AssumeNoIPsec says that the host has no IPsec policies where they can't be read, see datapath.Options.
	AssumeNoIPsec bool
	// Require is what the session is refused without.
	Require Require
	// Sockets is the number of WSK sockets, 0 for one. More than one get those of SourcePorts, in turn, or where that is
	// not set ports of the kernel's choice.
	Sockets     int
	SourcePorts units.Ports
	// Queues is the number of transmit queues, 0 for one.
	Queues int
	// LowGear keeps to a kick per send, see datapath.Options.
	LowGear bool
	// NeighbourTimeout bounds the wait for a neighbour, 0 for the default.
	NeighbourTimeout time.Duration
	// KernelBuffer is what the kernel queues for the sockets, see datapath.Options.
	KernelBuffer int
	Logger       *slog.Logger
	// Datagrams is called for each datagram that comes to the sockets, from any goroutine; nil: they are dropped.
	Datagrams func(*wsk.DatagramIndication)
	// Via is the socket of a daemon to send through; empty: this process sends itself. The daemon decides then what the
	// fields from Mode to LowGear would.
	Via string
}

// query asks for the way of a session.
func (o *Options) query() Query {
	return Query{Destination: o.Destination.Addr(), Source: o.Source.Addr(), Interface: o.Interface, TOS: o.TOS, AssumeNoIPsec: o.AssumeNoIPsec}
}

// Session is an open datapath with bound sockets. Its methods are for one goroutine; the sockets are as concurrent as
// wsk.Socket is.
type Session struct {
	Way Way
	// WayErr is why there is no way; the IRPs then end in the status of that.
	WayErr error
	// SlowErr is why the AF_XDP sockets could not be had although the way would allow them.
	SlowErr error

	Sockets []*wsk.Socket
	Locals  []netip.AddrPort

	netns    int
	bound    bool // to an address
	named    bool // the interface was asked for
	listener *icmp.Listener
	is4      bool
	fulls    uint64        // of the neighbour table, at the beginning of the session or the run
	before   datapath.Info // what was sent before the run
	checksum datapath.ChecksumMode
	queues   int                // asked for
	via      string             // the daemon's socket
	dp       *datapath.Datapath // nil: the daemon has it
	client   *client.Client
}

// Open surveys the way, opens AF_XDP sockets on it and WSK sockets above. Where AF_XDP is not to be had the session is
// open all the same, over the kernel's stack, and [Session.Warnings] says so; unless Require forbids that: then the
// error has exit code 3, as it has when this user may not enter the namespace.
func Open(ctx context.Context, o Options) (_ *Session, err error) {
	s := &Session{netns: o.NetNS, listener: icmp.NewListener(), is4: o.Destination.Addr().Unmap().Is4(), checksum: o.Checksum, queues: o.Queues}
	s.bound, s.named = o.Source.Addr().IsValid() && !o.Source.Addr().IsUnspecified(), o.Interface != ""
	s.fulls = host.NeighbourTableFulls(s.is4)
	defer func() {
		if err != nil {
			s.Close(ctx)
		}
		var coded *exit.Error
		if errors.Is(err, fs.ErrPermission) && !errors.As(err, &coded) {
			err = exit.NotPossiblef("%w", err)
		}
	}()
	s.Way, s.WayErr = Survey(ctx, o.NetNS, o.query())
	switch {
	case asked(s.WayErr):
		return nil, exit.Usagef("%w", s.WayErr)
	case s.WayErr != nil && o.Require != RequireNothing:
		return nil, exit.NotPossiblef("--require %v: %w", o.Require, s.WayErr)
	}
	if o.Via != "" {
		err = s.openVia(o)
	} else if err = s.openDatapath(o); err == nil {
		s.client, err = client.Open(s.dp, s.dp.Close)
	}
	if err != nil {
		return nil, err
	}
	if err := s.openSockets(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

// openDatapath opens the AF_XDP sockets at once, so that it is known before the first datagram how it will go.
func (s *Session) openDatapath(o Options) error {
	opts := datapath.Options{
		NetNS: o.NetNS, Queues: o.Queues, NeighbourTimeout: o.NeighbourTimeout, LowGear: o.LowGear, Logger: o.Logger,
		Checksum: o.Checksum, AssumeNoIPsec: o.AssumeNoIPsec, NoConntrack: o.Require != RequireNothing,
		Socket: xdp.Options{Mode: o.Mode}, KernelBuffer: o.KernelBuffer,
	}
	if o.Require == RequireZeroCopy {
		opts.Socket.Mode = xdp.ModeZeroCopy
	}
	var err error
	if s.fastWay() {
		opts.Interfaces = []string{s.Way.DeviceName()}
		if s.dp, err = datapath.Open(opts); err == nil {
			return nil
		}
		s.SlowErr = withHolder(o.NetNS, s.Way.Device.Index, err)
		// What was not to be had now may be had in a second, and a run that changes its engine measures neither.
		opts.Interfaces, opts.KernelStack = nil, true
	}
	if o.Require != RequireNothing {
		return exit.NotPossiblef("--require %v: %w", o.Require, s.slowCause())
	}
	if o.Mode == xdp.ModeZeroCopy && s.SlowErr != nil {
		return exit.NotPossiblef("--mode zerocopy: %w", s.SlowErr)
	}
	s.dp, err = datapath.Open(opts)
	return err
}

func (s *Session) fastWay() bool { return s.WayErr == nil && s.Way.SlowReason == "" }

func (s *Session) slowCause() error {
	if s.SlowErr != nil {
		return s.SlowErr
	}
	return errors.New(s.Way.SlowReason)
}

// openVia connects to a daemon.
func (s *Session) openVia(o Options) (err error) {
	transport := daemon.Open(daemon.Options{Path: o.Via})
	if err := transport.Connect(); err != nil {
		return exit.NotPossiblef("--via daemon=%s: %w", o.Via, errors.Join(err, transport.Close()))
	}
	s.via = o.Via
	if s.Way.elsewhere = s.sendsElsewhere(transport, o); s.Way.elsewhere && s.WayErr != nil {
		s.WayErr = fmt.Errorf("%w: %s, and the way is looked up in this one: run it there", s.WayErr, daemonElsewhere)
	}
	s.client, err = client.Open(transport, transport.Close)
	return err
}

// sendsElsewhere is whether a daemon sends in another network namespace than this process looks its ways up in, as far as
// addresses tell: the source of the way is none of the daemon's, or the daemon has a way and this process none.
func (s *Session) sendsElsewhere(transport *daemon.Transport, o Options) bool {
	if s.WayErr != nil {
		_, status := transport.SourceFor(wsk.Address{Addr: o.Destination.Addr().As16(), Port: o.Destination.Port()})
		return status == wsk.STATUS_SUCCESS
	}
	family := uint16(wsk.AF_INET6)
	if s.is4 {
		family = wsk.AF_INET
	}
	theirs, ours := transport.Addresses(family), s.Way.Source
	return len(theirs) > 0 && ours.IsValid() && !slices.ContainsFunc(theirs, func(a wsk.Address) bool { return a.Addr == ours.As16() })
}

// Info is a snapshot of the datapath, empty where there is none. Of a daemon's wsk-xdp status has one.
func (s *Session) Info() datapath.Info {
	if s.dp == nil {
		return datapath.Info{}
	}
	return s.dp.Info()
}

// Remote is the destination in the form that the sockets take.
func (s *Session) Remote(port uint16, fallback netip.Addr) wsk.SOCKADDR {
	a := fallback
	if s.WayErr == nil {
		a = s.Way.Destination
	}
	return wsk.NewSockaddr(netip.AddrPortFrom(a.Unmap(), port))
}

// IsBroadcast is whether the destination is everybody on the link.
func (s *Session) IsBroadcast() bool { return s.WayErr == nil && s.Way.Kind == route.Broadcast }

// answerTime is how long the answer to the last datagram may take, which is a round trip.
const answerTime = 50 * time.Millisecond

// ICMPErrors is what came back, most messages first. It waits for an answer to what was sent last, for a bounded time,
// unless one came already or nobody is to be expected to answer. It is never nil.
func (s *Session) ICMPErrors(ctx context.Context) []icmp.Error {
	s.listen(ctx, s.listener.Heard())
	return s.listener.Errors()
}

// listen waits for the answer to what was sent last, until enough of them are heard.
func (s *Session) listen(ctx context.Context, enough <-chan struct{}) {
	if s.WayErr != nil || s.Way.Kind != route.Unicast && s.Way.Kind != route.Local {
		return
	}
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	select {
	case <-enough:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// BeginRun says that what is sent from now on is the run, and that what was sent before it, and has come back, counts for none
// of what is asked about it. An ICMP error does not say which datagram it is about, so that it waits for the last ones.
func (s *Session) BeginRun(ctx context.Context) {
	s.listen(ctx, nil)
	s.listener.Begin()
	s.before, s.fulls = s.Info(), host.NeighbourTableFulls(s.is4)
}

// EarlyICMPErrors is what came back before BeginRun, most messages first. It is never nil.
func (s *Session) EarlyICMPErrors() []icmp.Error { return s.listener.Early() }

// NeighbourTableFull is a sentence about the kernel's neighbour table, which was full while the session was open, or during the
// run; empty if it was not.
func (s *Session) NeighbourTableFull() string {
	if host.NeighbourTableFulls(s.is4) == s.fulls {
		return ""
	}
	return tableFull(s.is4)
}

func tableFull(is4 bool) string {
	family := "ipv6"
	if is4 {
		family = "ipv4"
	}
	return fmt.Sprintf("the kernel's neighbour table is full, and takes no next hop more: sysctl net.%s.neigh.default.gc_thresh3 is its size, "+
		"ip -s neigh what is in it", family)
}

// LinkSpeed is the speed of the link that datagrams leave through, in bits a second. A virtual link has none: what its
// driver says is made up.
func (s *Session) LinkSpeed() (speed uint64, err error) {
	device := s.Way.Device
	if device.Kind != "" {
		return 0, fmt.Errorf("%s is virtual (%s), a link without a speed", device.Name, device.Kind)
	}
	err = netns.Borrow(s.netns).Do(func() error {
		speed, err = nic.Speed(device.Name)
		return err
	})
	return speed, err
}
