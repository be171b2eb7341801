// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/preview"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// blastDry says what blast would send.
func (a *app) blastDry(ctx context.Context, f *blastFlags, h header, ns *netns.NS) error {
	body, err := payload.Make(f.payload, f.payloadSize, a.stdin)
	if err != nil {
		return exit.Usagef("%w", err)
	}
	if err := h.checkPayload(len(body)); err != nil {
		return err
	}
	o := f.way.session(h)
	o.NetNS = ns.FD()
	find := session.FindWay
	if f.engine.prepared() {
		find = func(ctx context.Context, o session.Options) (*session.Session, error) {
			return session.OpenWay(ctx, f.engine.String(), o)
		}
	}
	s, err := find(ctx, o)
	if err != nil {
		return err
	}
	mix, err := f.admit(h, s)
	if err != nil {
		return err
	}
	r := f.report(h, s, mix, 0)
	unknown, err := f.macUnasked(ctx, s)
	if err != nil {
		return err
	}
	if f.engine.prepared() {
		r = f.reportPrepared(a.line, h, s, mix, 0, datapath.Info{})
	} else {
		r.Config.Sources = []string{f.unbound(h, s)[0].String()}
	}
	out := preview.Report{
		Head: host.NewHead(preview.Schema), Config: r.Config, Path: r.Path, Requested: blast.Requested(f.config()), Frames: []preview.Frame{},
		Warnings: append([]string{}, s.Warnings()...),
	}
	out.Command = a.line
	if unknown {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the MAC of the next hop %v is not known yet, and would be asked for: it is 00:00:00:00:00:00 here", s.Way.Gateway))
	}
	a.warn(out.Warnings...)
	out.Lines = f.dryLines(h, s, r)
	plan, err := f.preview(h, s, body, 0, stamp.Clock{}, f.unbound(h, s))
	if err != nil {
		return err
	}
	if err := out.Fill(plan, shownPackets); err != nil {
		return err
	}
	if out.Captured, err = f.look.write(plan, f.pace, out.Requested, time.Time{}); err != nil {
		return err
	}
	out.Capture = f.look.file
	return a.stream(&f.out).End(preview.Schema, &out, out.Tables()...)
}

// dryLines are what the start block would say, as far as that is known with nothing opened.
func (f *blastFlags) dryLines(h header, s *session.Session, r *blast.Report) []string {
	engine := "AF_XDP on " + s.Way.DeviceName()
	if s.Way.SlowReason != "" {
		engine = "the kernel's own stack (slow path)"
	}
	if f.engine == engineXDP {
		engine = "live frames, handed to the driver of " + s.Way.DeviceName()
	}
	lines := []string{
		fmt.Sprintf("wsk-xdp blast %v via %s (%s, mtu %d)  source %s  next hop %s", h.to, s.Way.Interface.Name, r.Path.Kind, s.Way.MTU,
			r.Config.Sources[0], s.Way.NextHop()),
	}
	if named := h.named(); named != "" {
		lines = append(lines, named)
	}
	return append(lines, fmt.Sprintf("  engine %v · %s · kernel %s", f.engine, engine, host.Kernel()), r.Plan())
}

// unbound are the addresses of the sockets of a run that has not opened them: a port that the kernel would choose is 0.
func (f *blastFlags) unbound(h header, s *session.Session) []netip.AddrPort {
	from := s.Way.Source
	if h.source.Addr().IsValid() {
		from = h.source.Addr()
	}
	out := make([]netip.AddrPort, f.flows.sockets())
	if f.engine.prepared() {
		return out // sources are what the flows say
	}
	for i := range out {
		port := h.source.Port()
		if f.flows.ports.IsSet() {
			port = f.flows.ports.At(uint64(i))
		}
		out[i] = netip.AddrPortFrom(from, port)
	}
	return out
}
