// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/preview"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// blastDry says what blast would send.
func (a *app) blastDry(ctx context.Context, f *blastFlags, h header, ns *netns.NS) error {
	body, err := f.body(a.stdin, h)
	if err != nil {
		return err
	}
	s, err := f.findWay(ctx, h, ns)
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
	warnings := s.Warnings()
	switch {
	case f.engine.prepared():
		r = f.reportEngine(h, s, mix, 0, datapath.Info{})
	case f.engine.sockets():
		warnings = s.LinkWarnings()
	}
	r.Config.From(f.unbound(h, s))
	out := preview.Report{
		Head: host.NewHead(preview.Schema), Config: r.Config, Path: r.Path, Requested: blast.Requested(f.config()), Frames: []preview.Frame{},
		Warnings: append([]string{}, warnings...),
	}
	f.out.head(&out.Head)
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
	if out.Captured, err = f.look.write(ctx, plan, f.config().After(), out.Requested, time.Time{}, f.out.live()); err != nil {
		return err
	}
	out.Capture = f.look.file
	return a.stream(&f.out).End(preview.Schema, &out, out.Tables()...)
}

// dryLines are what the start block would say, as far as that is known with nothing opened.
func (f *blastFlags) dryLines(h header, s *session.Session, r *blast.Report) []string {
	engine := "AF_XDP on " + s.Way.DeviceName()
	switch {
	case f.engine.sockets():
		engine = "sockets of the kernel"
	case f.engine == enginePacket:
		engine = "a packet socket on " + s.Way.DeviceName()
	case f.engine == engineXDP:
		engine = "live frames, handed to the driver of " + s.Way.DeviceName()
	case s.Way.SlowReason != "":
		engine = "the kernel's own stack (slow path)"
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
