// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
)

func (a *app) blast(ctx context.Context, f *blastFlags, h header, ns *netns.NS) (err error) {
	body, err := f.body(a.stdin, h)
	if err != nil {
		return err
	}
	o := f.way.session(h)
	o.NetNS, o.Logger, o.Queues = ns.FD(), a.logger(), f.queues
	o.Sockets, o.SourcePorts = f.flows.sockets(), f.flows.ports
	s, err := session.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	mix, err := f.admit(h, s)
	if err != nil {
		return err
	}

	run := uint16(rand.Uint32())
	config := f.config()
	config.Over = s.IsOver
	warmed, err := a.warmWSK(ctx, f, h, s, ns, config, body, run)
	if err != nil {
		return err
	}
	other, err := f.dialPeer(ctx, h, s, ns, run, body)
	if err != nil {
		return err
	}
	defer other.close()
	r := f.report(h, s, mix, run)
	f.out.head(&r.Head)
	r.Warmup = warmed
	a.announceBlast(f, h, s, r, other, &config)

	d, err := f.datagrams(h, s, body, run)
	if err != nil {
		return err
	}
	if err := f.capture(ctx, h, s, body, run, s.Sources()); err != nil {
		return err
	}
	sender := blast.NewMixSender(d, f.batch)
	out, onInterval, shown := a.follow(f, r, other)
	config.OnInterval = onInterval
	before, cpu, waited := s.Info(), host.CPUTime(), host.RunDelay()
	res, err := f.timing.pinned(f.engine, func() (blast.Result, error) { return blast.Run(ctx, config, sender) })
	shown()
	if err != nil {
		return err
	}
	spent, after := host.CPUTime().Sub(cpu), s.Info()
	waited = host.RunDelay() - waited
	r.Fill(config, res)
	session.UpdateProofs(r.Granted, after)
	r.Cost(spent, before, after)
	other.report(ctx, r, sender.Sent())
	r.Heard(s.ICMPErrors(ctx), s.EarlyICMPErrors())
	if res.Failed > 0 && s.InterfaceGone() {
		r.Lost = fmt.Sprintf("interface %s was deleted during the run", s.Way.Interface.Name)
	}
	speed, _ := s.LinkSpeed() // 0 where there is none
	r.Limit(speed, waited)
	r.Conclude()
	full := a.warnOfNeighbours(s, r, res)
	return errors.Join(a.finishBlast(f, r, out, s.SlowWarning(after)), blastFailure(r, res, h, full))
}

// warnOfNeighbours says, where some datagrams failed and some did not, that the kernel's table of neighbours is full; it returns the
// sentence, empty where it is not.
func (a *app) warnOfNeighbours(s *session.Session, r *blast.Report, res blast.Result) (full string) {
	full = s.NeighbourTableFull()
	if full != "" && res.Failed > 0 && res.Completed > 0 {
		a.warn(full)
		r.Warnings = append(r.Warnings, full)
	}
	return full
}

// announceBlast writes the start block.
func (a *app) announceBlast(f *blastFlags, h header, s *session.Session, r *blast.Report, other *blastPeer, c *blast.Config) {
	a.note(s.Header("blast", h.to)...)
	a.note(r.Plan())
	a.noteIf(h.named(), c.PacingNote(), f.note)
	if other != nil {
		a.note(other.line())
	}
	r.Warnings = append(r.Warnings, s.Warnings()...)
	if f.flows.n < f.queues {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s to one queue: of %d queues no more than %d are used (--flows)",
			keeps(f.flows.n), f.queues, f.flows.n))
	}
	a.warn(r.Warnings...)
}

// admit says what the datagrams are on the wire of the way, turns the rate into packets, and refuses what must not or
// can't leave there.
func (f *blastFlags) admit(h header, s *session.Session) (mix blast.Mix, err error) {
	if s.WayErr != nil {
		return mix, fmt.Errorf("no way to %v: %w", h.to, s.WayErr)
	}
	if err := f.way.checkFragments(h, s, f.payloadSize); err != nil {
		return mix, err
	}
	mix = blast.MixOf(h.to.Addr().Is4(), f.sizes, s.Way.MTU, len(f.ether.tags(s)))
	if err := f.checkMTU(s, mix); err != nil {
		return mix, err
	}
	if f.pace, err = f.timing.mean(f.rate, f.layer, mix, s); err != nil {
		return mix, err
	}
	if err := oneIsDue(f.rate, f.pace, time.Duration(f.duration)); err != nil {
		return mix, err
	}
	return mix, f.spare(s, mix)
}

// checkMTU refuses frames that are larger than the path takes.
func (f *blastFlags) checkMTU(s *session.Session, mix blast.Mix) error {
	bySize := f.way.flags.Changed("size")
	whole := f.engine.prepared() || f.engine == engineGSO // the other sockets send a payload in fragments
	if mix.Frames <= 1 || !bySize && !whole {
		return nil
	}
	given, instead := fmt.Sprintf("--size %v", f.size), ""
	switch {
	case !bySize:
		given, instead = fmt.Sprintf("--payload-size %d", f.payloadSize), fmt.Sprintf(", and engine %v sends no fragments", f.engine)
	case !whole:
		instead = fmt.Sprintf("; --payload-size %d sends fragments", f.payloadSize)
	}
	return exit.Usagef("%s: the largest frame on %s with an MTU of %d is %d bytes with FCS%s", given, s.Way.Interface.Name, s.Way.MTU,
		s.Way.MTU+18, instead)
}

// spare refuses a flood where others would suffer from it, unless it is insisted on.
func (f *blastFlags) spare(s *session.Session, mix blast.Mix) error {
	danger := s.Way.Danger()
	if f.ether.dst.IsGroup() {
		danger = fmt.Sprintf("WX-CAST-01: a frame to %s is for every host on the link of %s", macText(f.ether.dst), s.Way.Interface.Name)
	}
	if danger == "" || !f.flood(mix.Frames) || f.out.force {
		return nil
	}
	most := "100k"
	if mix.Frames > 1 {
		most = fmt.Sprintf("%d for packets in %d fragments", defaultRate/mix.Frames, mix.Frames)
	}
	return exit.NotPossiblef("%s: stay at --rate %s, use another interface or wsk-xdp lab, or say --force", danger, most)
}

// keeps is the beginning of a sentence about so many flows, in the singular or the plural.
func keeps(flows int) string {
	if flows == 1 {
		return "1 flow keeps"
	}
	return fmt.Sprintf("%d flows keep each", flows)
}

// finishBlast prints the report. late is the warning about sends that took the slow path although the start block
// promised otherwise.
func (a *app) finishBlast(f *blastFlags, r *blast.Report, out *told, late string) error {
	r.Judge(f.failIf)
	var err error
	if late != "" {
		a.warn(late)
		r.Warnings = append(r.Warnings, late)
		if f.way.require != session.RequireNothing {
			err = exit.NotPossiblef("--require %v: %s", f.way.require, late)
		}
	}
	return errors.Join(out.End(blast.Schema, r, r.Tables()...), err)
}
