// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// findWay finds out how datagrams leave, and opens nothing.
func (f *blastFlags) findWay(ctx context.Context, h header, ns *netns.NS) (*session.Session, error) {
	o := f.way.session(h)
	o.NetNS = ns.FD()
	if f.engine.prepared() {
		return session.OpenWay(ctx, f.engine.String(), o)
	}
	return session.FindWay(ctx, o)
}

// unbound is what the sockets of a run are to be bound to: a port that the kernel chooses is 0. Where frames say where they come from
// there are none.
func (f *blastFlags) unbound(h header, s *session.Session) []netip.AddrPort {
	if f.engine.prepared() {
		return nil
	}
	from := s.Way.Source
	if h.source.Addr().IsValid() {
		from = h.source.Addr()
	}
	out := make([]netip.AddrPort, f.flows.sockets())
	for i := range out {
		port := h.source.Port()
		if f.flows.ports.IsSet() {
			port = f.flows.ports.At(uint64(i))
		}
		out[i] = netip.AddrPortFrom(from, port)
	}
	return out
}

// body is the payload of the largest packet.
func (f *blastFlags) body(stdin io.Reader, h header) ([]byte, error) {
	body, err := payload.Make(f.payload, f.payloadSize, stdin)
	if err != nil {
		return nil, exit.Usagef("%w", err)
	}
	return body, h.checkPayload(len(body))
}

// plan is what the frames are.
func (f *blastFlags) plan(h header, s *session.Session, body []byte, run uint16) (p frames.Plan, err error) {
	clock, err := stamp.NewClock()
	if err != nil {
		return p, err
	}
	p = frames.Plan{
		Space: f.flows.space, Flows: uint64(f.flows.n), Sources: f.flows.sources, Ports: f.flows.ports, Random: f.flows.order == randomOrder,
		Header: frame.Flow{
			SrcMAC: f.ether.from(s), DstMAC: f.ether.dst, VLANs: f.ether.tags(s), TTL: f.hops(s), TOS: h.tos, DF: f.way.df,
		},
		Payload: body, Sizes: f.sizes, Stamp: f.stamp, Run: run, Clock: clock,
	}
	if !p.Sources.IsSet() {
		if err := p.Sources.Set(f.flows.firstSource(h, s).Addr().WithZone("").String()); err != nil {
			return p, exit.Usagef("source: %w", err)
		}
	}
	return p, nil
}

// hops is the TTL of what leaves: where none was given, that of a WSK socket.
func (f *blastFlags) hops(s *session.Session) uint8 {
	const unicast, group = 128, 1
	switch {
	case f.way.ttl > 0:
		return uint8(f.way.ttl)
	case s.Way.Destination.IsMulticast():
		return group
	}
	return unicast
}

// firstSource is the source of flow 0 as far as it does not depend on the seed.
func (f *flowFlags) firstSource(h header, s *session.Session) netip.AddrPort {
	from := s.Way.Source
	switch {
	case f.sources.IsSet():
		from = f.sources.At(0)
	case h.source.Addr().IsValid():
		from = h.source.Addr()
	}
	return netip.AddrPortFrom(from, f.ports.At(0))
}

// datagrams is what the run sends.
func (f *blastFlags) datagrams(h header, s *session.Session, body []byte, run uint16) (blast.Datagrams, error) {
	clock, err := stamp.NewClock()
	d := blast.Datagrams{
		Stamp: f.stamp, Run: run, Clock: clock,
		Flows: f.flows.list(h, s), Random: f.flows.order == randomOrder, Seed: f.flows.seed, Payload: body,
		Control: f.way.control(h, s, 0),
	}
	if len(f.sizes) > 1 {
		d.Sizes = f.sizes
	}
	return d, err
}
