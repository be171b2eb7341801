// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/send"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// pinger is a link with what is to be told about it.
type pinger interface {
	ping.Link
	// begin enters what the engine is before the run, and returns the first lines of the start block.
	begin(r *ping.Report) []string
	// end enters what it did. advice is what to do about a failure.
	end(ctx context.Context, r *ping.Report) (advice string, err error)
	close(ctx context.Context) error
	// load is what is sent besides, as the engine does it: packets with this body and stamps of the run.
	load(run uint16, body []byte, clock stamp.Clock) (ping.Load, error)
}

// openPinger opens the engine. What comes back goes to the tally.
func (a *app) openPinger(ctx context.Context, f *pingFlags, h header, ns *netns.NS, body []byte, t *ping.Tally) (pinger, error) {
	o := f.way.session(h)
	o.NetNS, o.Logger, o.Datagrams = ns.FD(), a.logger(), ping.Hears(t, h.to)
	o.KernelBuffer = recv.KernelBuffer // answers that come while this process does not run are not lost
	if f.loaded() {
		o.Sockets = 2
	}
	if f.engine == "udp" {
		return f.openUDPPinger(ctx, h, ns, o, body, t)
	}
	s, err := session.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := f.admit(h, s); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	link := ping.NewWSK(s.Sockets[0], s.Remote(h.to.Port(), h.to.Addr()), f.way.control(h, s, 0), body, s.IsOver)
	return &wskPinger{WSK: link, f: f, h: h, s: s}, nil
}

// wskPinger is engine wsk.
type wskPinger struct {
	*ping.WSK
	f      *pingFlags
	h      header
	s      *session.Session
	before datapath.Info
}

func (p *wskPinger) begin(r *ping.Report) []string {
	r.Path, r.Granted = p.s.Path(), session.GrantedQueues(p.s.Info())
	r.Config.Source = p.s.Sources()[0].String()
	r.Warnings = append(r.Warnings, p.s.Warnings()...)
	p.before = p.s.Info()
	return p.s.Header("ping", p.h.to)
}

func (p *wskPinger) end(ctx context.Context, r *ping.Report) (advice string, err error) {
	after := p.s.Info()
	session.UpdateProofs(r.Granted, after)
	r.SlowPath = ping.SlowReport{Sent: after.SlowSent - p.before.SlowSent, Failed: after.SlowFailed - p.before.SlowFailed}
	r.ICMPErrors, r.Drops = p.s.ICMPErrors(ctx), recv.DropsOf(after)
	if r.Totals.Failed > 0 && p.s.InterfaceGone() {
		r.Lost = fmt.Sprintf("interface %s was deleted during the run", p.s.Way.Interface.Name)
	}
	if late := p.s.SlowWarning(after); late != "" {
		r.Warnings = append(r.Warnings, late)
		if p.f.way.require != session.RequireNothing {
			err = exit.NotPossiblef("--require %v: %s", p.f.way.require, late)
		}
	}
	if status := p.LastFailure(); status != wsk.STATUS_SUCCESS {
		advice = send.Advice(status, p.h.to.Addr(), p.s.NeighbourTableFull())
	}
	return advice, err
}

// load is sent by the second socket, over the same queue as the pings.
func (p *wskPinger) load(run uint16, body []byte, clock stamp.Clock) (ping.Load, error) {
	batch := 1
	if p.f.load == 0 {
		batch = batchAtMax
	}
	d := blast.Datagrams{
		Flows:   []blast.Flow{{Socket: p.s.Sockets[1], Remote: p.s.Remote(p.h.to.Port(), p.h.to.Addr())}},
		Control: p.f.way.control(p.h, p.s, 0), Payload: body, Run: run, Clock: clock,
	}
	config := blast.Config{Rate: p.f.load, Batch: batch, InFlight: inFlightPackets / batch, Drain: drainTime}
	return &ping.WSKLoad{Sender: blast.NewMixSender(d, batch), Config: config}, nil
}

func (p *wskPinger) close(ctx context.Context) error { return p.s.Close(ctx) }

// udpPinger is engine udp.
type udpPinger struct {
	*ping.UDP
	f      *pingFlags
	h      header
	ns     *netns.NS
	header ping.Header
	s      *session.Session // of which there is only the way
}

func (f *pingFlags) openUDPPinger(ctx context.Context, h header, ns *netns.NS, o session.Options, body []byte, t *ping.Tally) (pinger, error) {
	s, err := session.FindWay(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := f.admit(h, s); err != nil {
		return nil, err
	}
	header := ping.Header{Source: h.source, TTL: f.way.ttl, TOS: -1, Interface: f.way.iface, DontFragment: f.way.df}
	if h.setTOS {
		header.TOS = int(h.tos)
	}
	link, err := ping.OpenUDP(ns, h.to, header, body, t.Take)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, exit.NotPossiblef("port %d is somebody else's: see ss -lnup sport = :%d", h.source.Port(), h.source.Port())
	case errors.Is(err, fs.ErrPermission):
		return nil, exit.NotPossiblef("%w", err)
	case err != nil:
		return nil, err
	}
	return &udpPinger{UDP: link, f: f, h: h, ns: ns, header: header, s: s}, nil
}

func (p *udpPinger) load(run uint16, body []byte, clock stamp.Clock) (ping.Load, error) {
	return ping.OpenUDPLoad(p.ns, p.h.to, p.header, p.f.load, run, body, clock)
}

func (p *udpPinger) begin(r *ping.Report) []string {
	r.Path, r.Granted = p.s.Path(), []session.Granted{}
	r.Path.Device, r.Path.SlowPath = "", "" // the kernel's stack is what was asked for
	r.Config.Source = p.Local().String()
	return []string{
		fmt.Sprintf("wsk-xdp ping %v via %s  source %v  next hop %s", p.h.to, p.s.Way.Interface.Name, p.Local(), p.s.Way.NextHop()),
		"  engine udp · kernel " + host.Kernel(),
	}
}

func (p *udpPinger) end(_ context.Context, r *ping.Report) (advice string, err error) {
	r.ICMPErrors, r.Drops = p.ICMPErrors(), p.Drops()
	return "", nil
}

func (p *udpPinger) close(context.Context) error { return p.Close() }
