// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/packetring"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/sockets"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// callsMethod is how an engine of system calls keeps a rate.
type callsMethod struct{}

func (callsMethod) info(blast.Counts) datapath.Info   { return datapath.Info{} } // it has no queue of AF_XDP
func (callsMethod) method(c *blast.Config) string     { return c.PacingMethod() }
func (callsMethod) pacingNote(c *blast.Config) string { return c.PacingNote() }

// openSockets makes the engines udp, sendmmsg and gso ready.
func (f *blastFlags) openSockets(h header, s *session.Session, ns *netns.NS, p frames.Plan) (*socketsEngine, error) {
	o := sockets.Options{
		Way: f.engine.String(), Batch: f.batch, Bound: f.unbound(h, s), Interface: f.way.iface, Zone: s.Way.Interface.Index, TTL: f.hops(s),
		TOS: h.tos, DF: f.way.df,
	}
	if f.way.pin {
		o.Interface = s.Way.Interface.Name
	}
	lane, err := sockets.Open(ns, p, o)
	switch {
	case errors.Is(err, sockets.ErrDescriptors):
		return nil, exit.NotPossiblef("--flows %d takes %d sockets, more descriptors than this process may have: see ulimit -n", f.flows.n, f.flows.sockets())
	case errors.Is(err, sockets.ErrTaken), errors.Is(err, fs.ErrPermission):
		return nil, exit.NotPossiblef("engine %v: %w", f.engine, err)
	case err != nil:
		return nil, fmt.Errorf("engine %v: %w", f.engine, err)
	}
	return &socketsEngine{Lane: lane, engine: f.engine}, nil
}

// socketsEngine is one of the engines udp, sendmmsg and gso.
type socketsEngine struct {
	callsMethod
	*sockets.Lane
	engine engine
}

func (e *socketsEngine) run(ctx context.Context, c blast.Config) (blast.Result, error) {
	return blast.RunCalls(ctx, c, e.Lane)
}

func (e *socketsEngine) with(ctx context.Context, _ blast.Config, p frames.Plan) error {
	e.Warmed(ctx)
	e.Begin(p)
	return nil
}

func (e *socketsEngine) sent() ([]uint64, error)   { return e.Sent(), nil }
func (e *socketsEngine) sources() []netip.AddrPort { return e.Locals() }
func (e *socketsEngine) close() error              { return e.Close() }

func (e *socketsEngine) icmpErrors(ctx context.Context) (run, before []icmp.Error) {
	return e.ICMPErrors(ctx), e.EarlyICMPErrors()
}

func (e *socketsEngine) text() string {
	how := map[engine]string{
		engineUDP: "a call for each datagram", engineSendmmsg: "sendmmsg", engineGSO: "UDP_SEGMENT: the kernel cuts a buffer into datagrams",
	}
	return fmt.Sprintf("  engine %v · the kernel's stack · %s · %s · kernel %s", e.engine, units.Plural(len(e.Locals()), "socket"), how[e.engine], host.Kernel())
}

// openPacket makes the engine packet ready.
func openPacket(s *session.Session, ns *netns.NS, p frames.Plan) (*packetEngine, error) {
	maker, err := frames.NewMaker(p)
	if err != nil {
		return nil, err
	}
	longest, err := maker.Largest()
	if err != nil {
		return nil, err
	}
	e := &packetEngine{maker: maker, device: s.Way.DeviceName()}
	err = ns.Do(func() error {
		e.ring, err = packetring.Open(s.Way.Device.Index, longest)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, exit.NotPossiblef("engine packet takes CAP_NET_RAW: %w", err)
	case errors.Is(err, packetring.ErrTooLong):
		return nil, exit.Usagef("engine packet: %w", err)
	case err != nil:
		return nil, fmt.Errorf("engine packet: %w", err)
	}
	return e, nil
}

// packetEngine is the engine packet.
type packetEngine struct {
	callsMethod
	deaf
	ring   *packetring.Ring
	maker  *frames.Maker
	device string
}

func (e *packetEngine) run(ctx context.Context, c blast.Config) (blast.Result, error) {
	return blast.RunCalls(ctx, c, packetring.NewLane(e.ring, e.maker))
}

func (e *packetEngine) with(_ context.Context, _ blast.Config, p frames.Plan) (err error) {
	e.maker, err = frames.NewMaker(p)
	return err
}

func (e *packetEngine) sent() ([]uint64, error) { return e.maker.Sent(), nil }
func (e *packetEngine) close() error            { return e.ring.Close() }

func (e *packetEngine) text() string {
	return fmt.Sprintf("  engine packet · interface %s · ring of a packet socket, past the queueing discipline · ring %d · kernel %s", e.device,
		packetring.Slots, host.Kernel())
}
