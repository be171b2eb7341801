// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// blastFrames is blast with prepared frames.
func (a *app) blastFrames(ctx context.Context, f *blastFlags, h header, ns *netns.NS) (err error) {
	body, err := payload.Make(f.payload, f.payloadSize, a.stdin)
	if err != nil {
		return exit.Usagef("%w", err)
	}
	o := f.way.session(h)
	o.NetNS = ns.FD()
	s, err := session.OpenWay(ctx, o)
	if err != nil {
		return err
	}
	mix, err := f.admit(h, s)
	if err != nil {
		return err
	}
	if err := f.ether.find(ctx, s); err != nil {
		return err
	}
	if err := f.spare(s, mix); err != nil { // the MAC of the next hop may be a group's, too
		return err
	}
	run := uint16(rand.Uint32())
	maker, err := f.maker(h, s, body, run)
	if err != nil {
		return err
	}
	q, err := openQueue(s, ns, maker)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	other, err := f.dialPeer(ctx, h, s, ns, run, body)
	if err != nil {
		return err
	}
	defer other.close()

	before := queueInfo(s, q, blast.Counts{})
	r := f.report(h, s, mix.Tagged(len(f.ether.tags(s))), run)
	r.Command = a.line
	r.Granted = session.GrantedQueues(before)
	f.ether.describe(&r.Config, s)
	r.Config.SourceAddresses = f.flows.sources.String()
	r.Config.Sources = []string{f.flows.firstSource(h, s).String()}
	f.announceFrames(a, h, s, r, q, other)
	config := blast.Config{
		Rate: f.pace, Count: uint64(f.count), Duration: time.Duration(f.duration), Batch: f.batch, Drain: drainTime,
	}
	show := a.startLive(f.quiet, r.Mix)
	config.OnInterval = func(i blast.Interval) {
		r.Interval(i)
		show.interval(i, other.arrived())
	}
	cpu, waited := host.CPUTime(), host.RunDelay()
	res, err := frames.Run(ctx, config, q, maker)
	show.stop()
	if err != nil {
		return err
	}
	spent := host.CPUTime().Sub(cpu)
	waited = host.RunDelay() - waited
	r.Fill(config, res)
	r.Cost(spent, before, queueInfo(s, q, res.Counts))
	r.ICMPErrors = []icmp.Error{}
	other.report(ctx, r, maker.Sent())
	speed, _ := s.LinkSpeed() // 0 where there is none
	r.Limit(speed, waited)
	r.Conclude()
	return errors.Join(a.finishBlast(f, r, ""), blastFailure(r, res, h, ""))
}

// announceFrames writes the start block.
func (f *blastFlags) announceFrames(a *app, h header, s *session.Session, r *blast.Report, q xdp.Queue, other *blastPeer) {
	g := q.Granted()
	a.note(fmt.Sprintf("wsk-xdp blast %v via %s (mtu %d)  first source %s  to %s", h.to, s.Way.Interface.Name, s.Way.MTU, r.Config.Sources[0],
		r.Config.DestinationMAC),
		fmt.Sprintf("  engine frames · interface %s · queue 0 · copy mode · ring %d · %d frames per wake-up · kernel %s", g.Ifname, g.TxRing, g.TxBudget,
			host.Kernel()), r.Plan())
	for _, note := range []string{blast.PacingNote(f.pace), f.note} {
		if note != "" {
			a.note(note)
		}
	}
	if other != nil {
		a.note(other.line())
	}
	r.Warnings = append(r.Warnings, s.Warnings()...)
	a.warn(r.Warnings...)
}

// maker prepares the frames.
func (f *blastFlags) maker(h header, s *session.Session, body []byte, run uint16) (*frames.Maker, error) {
	clock, err := stamp.NewClock()
	if err != nil {
		return nil, err
	}
	p := frames.Plan{
		Space: f.flows.space, Flows: uint64(f.flows.n), Sources: f.flows.sources, Ports: f.flows.ports, Random: f.flows.order == randomOrder,
		Header: frame.Flow{
			SrcMAC: f.ether.from(s), DstMAC: f.ether.dst, VLANs: f.ether.tags(s), TTL: uint8(f.way.ttl), TOS: h.tos, DF: f.way.df,
		},
		Payload: body, Sizes: f.sizes, Stamp: f.stamp, Run: run, Clock: clock,
	}
	if !p.Sources.IsSet() {
		if err := p.Sources.Set(f.flows.firstSource(h, s).Addr().WithZone("").String()); err != nil {
			return nil, exit.Usagef("source: %w", err)
		}
	}
	return frames.NewMaker(p)
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
