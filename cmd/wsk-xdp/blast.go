// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Defaults and limits of blast.
const (
	defaultRate     = 100_000 // so that no accident saturates a link
	defaultDuration = 10 * time.Second
	maxBatch        = 1024
	maxFlows        = 1024
	maxInFlight     = 1 << 16
	batchAtMax      = 64              // of --rate max: one wake-up per burst
	inFlightPackets = 2048            // as many as there are chunks
	drainTime       = 4 * time.Second // longer than the wait for a neighbour that does not answer
)

type blastFlags struct {
	way         wayFlags
	rate        units.Rate
	count       units.Count
	duration    time.Duration
	size        int
	payloadSize int
	payload     string
	flows       int
	queues      int
	batch       int
	inFlight    int
	force       bool
	quiet, json bool
}

func (a *app) blastCommand() *cobra.Command {
	f := blastFlags{rate: defaultRate}
	c := &cobra.Command{
		Use:   "blast DST:PORT",
		Short: "Send datagrams at a rate and measure",
		Long: lines("Sends datagrams at a rate, 100 kpps unless told otherwise, and reports what was submitted, completed and failed,",
			"completion latency and cost. Each IRP is used again from its completion. Ctrl-C ends the run with its report.",
			"Exit code 1 if nothing was completed; some packets that fail are a result. Exit code 3 for more than 100 kpps over",
			"the interface of this ssh session or of the default route, or to broadcast or multicast, without --force."),
		Example: lines("  wsk-xdp blast 10.77.0.2:9000 -r 250k -d 5s",
			"  wsk-xdp blast 10.77.0.2:9000 -r max -n 10M --size 1518 --require afxdp",
			"  wsk-xdp blast [fd77::2]:9000 --flows 8 --batch 32 --json > run.json"),
		Args: oneDestination,
		RunE: func(c *cobra.Command, args []string) error {
			f.defaults()
			h, err := f.check(args[0])
			if err != nil {
				return err
			}
			return a.withNetNS(func(ns *netns.NS) error { return a.blast(c.Context(), &f, h, ns) })
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.VarP(&f.rate, "rate", "r", "packets per second: 100k, 1.5M, or max")
	fl.VarP(&f.count, "count", "n", "end after so many packets: 250k, 10M (default: no limit)")
	fl.DurationVarP(&f.duration, "duration", "d", 0, "end after this time (default 10s without --count)")
	fl.IntVarP(&f.size, "size", "s", 0, "frame size with FCS (default 64, or 66 for IPv6)")
	fl.IntVar(&f.payloadSize, "payload-size", -1, "UDP payload size instead; above the MTU it is fragmented")
	fl.StringVar(&f.payload, "payload", "zero", "`form`, repeated to the size: "+payload.Forms)
	fl.IntVar(&f.flows, "flows", 1, "number of sockets, each with a source port of its own, used in turn")
	fl.IntVar(&f.queues, "queues", 1, "transmit queues to spread the sockets over")
	fl.IntVar(&f.batch, "batch", 0, "packets per IRP at most, by WskSendMessages (default 1, with --rate max 64)")
	fl.IntVar(&f.inFlight, "in-flight", 0, "IRPs in flight at most (default 2048 packets' worth)")
	f.way.add(fl)
	fl.BoolVar(&f.force, "force", false, "more than 100 kpps even where others suffer: ssh session, default route, broadcast")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no live line")
	fl.BoolVar(&f.json, "json", false, "one JSON document (wsk-xdp.blast/1) instead of the table")
	fl.Lookup("payload-size").DefValue = "0"
	fl.Lookup("count").DefValue = "0"
	return c
}

func (f *blastFlags) defaults() {
	given := f.way.flags.Changed
	if !given("batch") {
		f.batch = 1
		if f.rate == units.Unlimited {
			f.batch = batchAtMax
		}
	}
	if !given("duration") && !given("count") {
		f.duration = defaultDuration
	}
	if !given("in-flight") && f.batch > 0 {
		f.inFlight = max(inFlightPackets/f.batch, 16)
	}
}

func (f *blastFlags) check(destination string) (header, error) {
	h, err := f.way.parse(destination)
	if err != nil {
		return h, err
	}
	for _, r := range []struct {
		flag        string
		value, high int
	}{
		{"--batch", f.batch, maxBatch}, {"--flows", f.flows, maxFlows}, {"--queues", f.queues, 4096},
		{"--in-flight", f.inFlight, maxInFlight},
	} {
		if r.value < 1 || r.value > r.high {
			return h, exit.Usagef("%s %d is outside 1..%d", r.flag, r.value, r.high)
		}
	}
	given := f.way.flags.Changed
	switch {
	case f.duration < 0:
		return h, exit.Usagef("--duration %v is negative", f.duration)
	case given("count") && f.count == 0:
		return h, exit.Usagef("--count 0 sends nothing: leave it out for no limit")
	case f.duration == 0 && f.count == 0:
		return h, exit.Usagef("--duration 0 without --count has no end")
	case f.rate != units.Unlimited && f.duration > 0 && blast.Due(uint64(f.rate), f.duration) == 0:
		return h, exit.Usagef("--rate %v for %v is not one packet: send for longer, or faster", f.rate, f.duration)
	case given("payload-size") && (f.payloadSize < 0 || f.payloadSize > payload.Max):
		return h, exit.Usagef("--payload-size %d is outside 0..%d", f.payloadSize, payload.Max)
	case given("size") && given("payload-size"):
		return h, exit.Usagef("--size and --payload-size say the same: give one")
	case f.flows > 1 && h.source.Port() != 0:
		return h, exit.Usagef("--source with a port and --flows %d: one port can't be %d source ports", f.flows, f.flows)
	}
	return h, f.choosePayload(h)
}

// flood is whether the rate is more than what is harmless anywhere.
func (f *blastFlags) flood() bool { return f.rate == units.Unlimited || f.rate > defaultRate }

// choosePayload turns a frame size into the size of the payload.
func (f *blastFlags) choosePayload(h header) error {
	if f.payloadSize >= 0 {
		return nil
	}
	is4 := h.to.Addr().Is4()
	size := f.size
	if !f.way.flags.Changed("size") {
		size = blast.MinFrame(is4)
	}
	n, err := blast.PayloadOfFrame(is4, size)
	if err != nil {
		return exit.Usagef("--size: %w", err)
	}
	if n > payload.Max {
		return exit.Usagef("--size %d is larger than a datagram can be", size)
	}
	f.payloadSize = n
	return nil
}

func (a *app) blast(ctx context.Context, f *blastFlags, h header, ns *netns.NS) (err error) {
	body, err := payload.Make(f.payload, f.payloadSize, a.stdin)
	if err != nil {
		return exit.Usagef("%w", err)
	}
	if err := h.checkPayload(len(body)); err != nil {
		return err
	}
	o := f.way.session(h)
	o.NetNS, o.Logger, o.Sockets, o.Queues = ns.FD(), a.logger(), f.flows, f.queues
	s, err := session.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	wire, err := f.admit(h, s, len(body))
	if err != nil {
		return err
	}

	r := f.report(h, s, wire)
	a.note(s.Header("blast", h.to)...)
	a.note(r.Plan())
	if note := blast.PacingNote(uint64(f.rate), f.batch); note != "" {
		a.note(note)
	}
	r.Warnings = append(r.Warnings, s.Warnings()...)
	if f.flows < f.queues {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s to one queue: of %d queues no more than %d are used (--flows)",
			keeps(f.flows), f.queues, f.flows))
	}
	a.warn(r.Warnings...)

	config := blast.Config{
		Rate: uint64(f.rate), Count: uint64(f.count), Duration: f.duration, Batch: f.batch, InFlight: f.inFlight, Drain: drainTime,
	}
	sender := blast.NewSender(s.Sockets, s.Remote(h.to.Port(), h.to.Addr()), f.way.control(h, s, 0), body, f.batch)
	show := a.startLive(f.quiet, wire)
	config.OnInterval = func(i blast.Interval) {
		r.Interval(i)
		show.interval(i)
	}
	before, cpu := s.Info(), host.CPUTime()
	res, err := blast.Run(ctx, config, sender)
	show.stop()
	if err != nil {
		return err
	}
	spent, after := host.CPUTime().Sub(cpu), s.Info()
	r.Fill(config, res, wire, len(body))
	session.UpdateProofs(r.Granted, after)
	r.Cost(spent, before, after)
	r.ICMPErrors = s.ICMPErrors(ctx)
	r.Conclude()
	full := s.NeighbourTableFull()
	if full != "" && res.Failed > 0 && res.Completed > 0 {
		a.warn(full)
		r.Warnings = append(r.Warnings, full)
	}
	return errors.Join(a.finishBlast(f, r, s.SlowWarning(after)), blastFailure(r, res, h, full))
}

// admit says what a datagram is on the wire of the way, and refuses what must not or can't leave there.
func (f *blastFlags) admit(h header, s *session.Session, bytes int) (wire blast.Wire, err error) {
	if s.WayErr != nil {
		return wire, fmt.Errorf("no way to %v: %w", h.to, s.WayErr)
	}
	if err := f.way.checkFragments(h, s, bytes); err != nil {
		return wire, err
	}
	if danger := s.Way.Danger(); danger != "" && f.flood() && !f.force {
		return wire, exit.NotPossiblef("%s: stay at --rate 100k, use another interface or wsk-xdp lab, or say --force", danger)
	}
	wire = blast.OnWire(h.to.Addr().Is4(), bytes, s.Way.MTU)
	if f.size != 0 && wire.Frames > 1 {
		return wire, exit.Usagef("--size %d: the largest frame on %s with an MTU of %d is %d bytes with FCS; --payload-size %d sends fragments",
			f.size, s.Way.Interface.Name, s.Way.MTU, s.Way.MTU+18, bytes)
	}
	return wire, nil
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
func (a *app) finishBlast(f *blastFlags, r *blast.Report, late string) error {
	var err error
	if late != "" {
		a.warn(late)
		r.Warnings = append(r.Warnings, late)
		if f.way.require != session.RequireNothing {
			err = exit.NotPossiblef("--require %v: %s", f.way.require, late)
		}
	}
	if f.json {
		return errors.Join(output.JSON(a.stdout, r), err)
	}
	for _, t := range r.Tables() {
		err = errors.Join(err, t.Write(a.stdout))
	}
	return err
}

// report begins the report with the configuration.
func (f *blastFlags) report(h header, s *session.Session, wire blast.Wire) *blast.Report {
	r := &blast.Report{
		Schema: blast.Schema, Version: host.ReadBuild().Version, StartedAt: time.Now(), Host: host.Describe(), Path: s.Path(),
		Granted: session.GrantedQueues(s.Info()), Warnings: []string{}, Intervals: []blast.IntervalReport{},
	}
	r.Config = blast.ConfigReport{
		Destination: h.to.String(), Flows: f.flows, Queues: f.queues, Payload: f.payloadSize, WireL2: wire.L2Bytes,
		WireL1: wire.L1Bytes, Frames: wire.Frames, RateMax: f.rate == units.Unlimited, Rate: uint64(f.rate), Count: uint64(f.count),
		Duration: f.duration.Nanoseconds(), Batch: f.batch, InFlight: f.inFlight, TTL: f.way.ttl, DF: f.way.df,
		Mode: f.way.mode.String(), Require: f.way.require.String(), Interface: f.way.iface,
	}
	if wire.Frames == 1 {
		r.Config.Frame = wire.L2Bytes
	}
	if h.setTOS {
		r.Config.TOS = &h.tos
	}
	for _, local := range s.Sources() {
		r.Config.Sources = append(r.Config.Sources, local.String())
	}
	return r
}
