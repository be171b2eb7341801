// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

func (a *app) replay(ctx context.Context, f *replayFlags, in *os.File, ns *netns.NS) (err error) {
	s, err := session.OpenInterface(ctx, session.Options{NetNS: ns.FD(), Interface: f.iface, AssumeNoIPsec: f.assumeNoIPsec})
	if err != nil {
		return err
	}
	rules := f.rules(s)
	file, err := a.surveyCapture(ctx, f, in, rules)
	if err != nil {
		return err
	}
	if err := f.admitFile(&file, rules, s); err != nil {
		return err
	}
	pace, err := paceOf(f.rate, f.layer, file.Mix(), s)
	if err != nil {
		return err
	}
	if err := f.spare(&file, pace, s); err != nil {
		return err
	}
	config := blast.Config{Rate: pace, Count: file.Total(uint64(f.loop), uint64(f.limit)), Batch: batchAtMax, Drain: drainTime}
	feed := replay.NewFeed(in, file, rules, config.Count)
	defer feed.Close()
	q, err := openQueue(s, ns, feed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()

	before := queueInfo(s, q, blast.Counts{})
	r := f.report(&file, pace, s)
	f.out.head(&r.Head)
	r.Granted = session.GrantedQueues(before)
	a.announceReplay(f, s, r, q.Granted(), pace)

	out := a.stream(&f.out)
	out.Begin(replay.Schema, r.Config, replay.IntervalReport{})
	tell, told := inBackground(func(i replay.IntervalReport) { out.Interval(replay.Schema, i) })
	show := startLive(f.out.live(), r.Run.Mix, blast.EngineFrames)
	config.OnInterval = func(i blast.Interval) {
		tell(r.Interval(i))
		show.interval(i, "")
	}
	source := frames.Source(feed)
	if f.pacing == replay.PacingOriginal {
		source = replay.AsCaptured{Feed: feed}
	}
	cpu, waited := host.CPUTime(), host.RunDelay()
	var res blast.Result
	r.Config.CPU = host.OnOneProcessor(func() { res, err = frames.Run(ctx, config, q, source) })
	show.stop()
	told()
	if err != nil {
		return err
	}
	r.Run.Fill(config, res)
	r.Run.Cost(host.CPUTime().Sub(cpu), before, queueInfo(s, q, res.Counts))
	speed, _ := s.LinkSpeed() // 0 where there is none
	r.Run.Limit(speed, host.RunDelay()-waited)
	r.Conclude(feed.Gaps())
	return errors.Join(out.End(replay.Schema, r, r.Tables()...), replayFailure(r, res, s))
}

// announceReplay writes the start block.
func (a *app) announceReplay(f *replayFlags, s *session.Session, r *replay.Report, g xdp.Granted, pace blast.Rate) {
	a.note(fmt.Sprintf("wsk-xdp replay %s via %s (mtu %d)", f.name, s.Way.Interface.Name, s.Way.MTU),
		fmt.Sprintf("  engine frames · queue 0 · copy mode · ring %d · %d frames per wake-up · kernel %s", g.TxRing, g.TxBudget, host.Kernel()))
	a.note(r.Plan()...)
	a.noteIf((&blast.Config{Rate: pace}).PacingNote())
	r.Warnings = append(r.Warnings, s.Warnings()...)
	a.warn(r.Warnings...)
}

// rules are what frames have to be like on the interface.
func (f *replayFlags) rules(s *session.Session) *replay.Rules {
	r := &replay.Rules{MTU: s.Way.MTU}
	if f.ether.srcMAC != "" {
		r.Source = &f.ether.src
	}
	if f.ether.dstMAC != "" {
		r.Destination = &f.ether.dst
	}
	return r
}

// surveyCapture reads the file once, and shows how far it is where that takes longer than a second.
func (a *app) surveyCapture(ctx context.Context, f *replayFlags, in io.ReadSeeker, rules *replay.Rules) (replay.File, error) {
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return replay.File{}, err
	}
	line := output.NewLive(f.out.live())
	last := time.Now()
	file, err := replay.Survey(ctx, in, rules, uint64(f.limit), f.speed, func(records uint64) {
		if now := time.Now(); now.Sub(last) > time.Second {
			line.Show(fmt.Sprintf("reading %s: %s records", f.name, units.Grouped(records)))
			last = now
		}
	})
	line.End()
	switch {
	case ctx.Err() != nil && err != nil:
		return file, fmt.Errorf("stopped while %s was read, before anything was sent", f.name)
	case err != nil:
		return file, exit.Usagef("%s: %w", f.name, err)
	}
	return file, nil
}

// admitFile refuses files that can't be sent as they are.
func (f *replayFlags) admitFile(file *replay.File, rules *replay.Rules, s *session.Session) error {
	if err := file.LeftOut.Refusal(rules, s.Way.Interface.Name); err != nil && !f.skip {
		return exit.Usagef("%s: %w", f.name, err)
	}
	switch {
	case file.Frames == 0 && file.LeftOut.Total() == 0:
		return exit.Usagef("%s: there is no packet in it", f.name)
	case file.Frames == 0:
		return exit.Usagef("%s: none of its %s can be sent: %w", f.name, units.Plural(int(file.Records), "record"),
			file.LeftOut.Refusal(rules, s.Way.Interface.Name))
	case f.pacing == replay.PacingOriginal && file.Untimed > 0:
		return exit.Usagef("%s: %s in it bear no time: give --rate or --topspeed", f.name, units.Plural(int(file.Untimed), "frame"))
	}
	return nil
}

// spare refuses what bypasses rules of the host, and a flood where others would suffer from it, unless it is insisted on.
func (f *replayFlags) spare(file *replay.File, pace blast.Rate, s *session.Session) error {
	if f.out.force {
		return nil
	}
	if s.Way.Bypasses != "" {
		return exit.NotPossiblef("%s: send from a network namespace of its own (wsk-xdp lab), or say --force", s.Way.Bypasses)
	}
	all, groups := file.Flood(uint64(f.loop))
	if f.pacing != replay.PacingOriginal {
		all = pace == 0 || pace > blast.PPS(replay.HarmlessRate)
		groups = all && file.GroupsOf(file.Total(uint64(f.loop), uint64(f.limit))) > replay.HarmlessBurst
	}
	danger := s.Way.Danger()
	switch {
	case danger != "" && all:
	case groups:
		danger = fmt.Sprintf("WX-CAST-01: frames of %s are for every host on the link of %s, or for a group", f.name, s.Way.Interface.Name)
	default:
		return nil
	}
	return exit.NotPossiblef("%s: stay at --rate 100k, use another interface or wsk-xdp lab, or say --force", danger)
}

// report begins the report with the configuration.
func (f *replayFlags) report(file *replay.File, pace blast.Rate, s *session.Session) *replay.Report {
	r := &replay.Report{
		Head: host.NewHead(replay.Schema), File: file.Report(), Path: s.Path(),
		Warnings: []string{}, Intervals: []replay.IntervalReport{},
	}
	r.Config = replay.ConfigReport{
		File: f.name, Pacing: f.pacing, Loop: uint64(f.loop), Limit: uint64(f.limit), Batch: batchAtMax, Skip: f.skip, Force: f.out.force,
	}
	if f.given("speed") {
		r.Config.Speed = uint64(f.speed)
	}
	if f.ether.srcMAC != "" {
		r.Config.Source = macText(f.ether.src)
	}
	if f.ether.dstMAC != "" {
		r.Config.Dest = macText(f.ether.dst)
	}
	if f.pacing == replay.PacingRate {
		r.Config.RateAsked, r.Config.RateLayer = f.rate.String(), f.layer.String()
		r.Config.Rate, r.Config.MicroRate = pace.Whole(), uint64(pace)
	}
	r.Run = &blast.Report{Mix: file.Mix()}
	r.Run.Config = blast.ConfigReport{Engine: blast.EngineFrames, Frames: 1, RateMax: pace == 0, MicroRate: uint64(pace)}
	return r
}

// replayFailure is the error of a run that achieved nothing, or lost its interface.
func replayFailure(r *replay.Report, res blast.Result, s *session.Session) error {
	t := &r.Totals
	switch {
	case res.Dead:
		return fmt.Errorf("%s is gone: %s of %s frames were completed", s.Way.Interface.Name, units.Grouped(t.Completed), units.Grouped(t.Submitted))
	case t.Completed == 0 && !r.Interrupted:
		return fmt.Errorf("none of %s frames were completed on %s: see ip link show %s", units.Grouped(t.Submitted), s.Way.Interface.Name,
			s.Way.Interface.Name)
	}
	return nil
}
