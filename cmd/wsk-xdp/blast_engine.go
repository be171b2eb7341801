// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// opened is an engine without IRPs, ready to run: it sends frames that are written here, or by sockets of the kernel.
type opened interface {
	// with makes it ready for the run, behind one that has warmed up.
	with(ctx context.Context, c blast.Config, p frames.Plan) error
	// run sends.
	run(ctx context.Context, c blast.Config) (blast.Result, error)
	// sent is how many numbers were given out to each stream.
	sent() ([]uint64, error)
	// info is what its queues have done; n is what is known of their frames.
	info(n blast.Counts) datapath.Info
	// text is its line of the start block, method how it keeps a rate and note what else is to be said about that.
	text() string
	method(c *blast.Config) string
	pacingNote(c *blast.Config) string
	// sources are what its sockets are bound to, none where frames say where they come from; icmpErrors what came back to them, about
	// the run and about what was sent before it.
	sources() []netip.AddrPort
	icmpErrors(ctx context.Context) (run, before []icmp.Error)
	close() error
}

// blastEngine is blast without IRPs.
func (a *app) blastEngine(ctx context.Context, f *blastFlags, h header, ns *netns.NS) (err error) {
	body, err := f.body(a.stdin, h)
	if err != nil {
		return err
	}
	s, err := f.findWay(ctx, h, ns)
	if err != nil {
		return err
	}
	mix, err := f.admitEngine(ctx, h, s)
	if err != nil {
		return err
	}
	run := uint16(rand.Uint32())
	plan, err := f.plan(h, s, body, run)
	if err != nil {
		return err
	}
	config := f.config()
	e, warmed, err := a.openWarm(ctx, f, h, s, ns, config, plan)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	other, err := f.dialPeer(ctx, h, s, ns, run, body)
	if err != nil {
		return err
	}
	defer other.close()

	if err := f.capture(ctx, h, s, body, run, e.sources()); err != nil {
		return err
	}
	before := e.info(blast.Counts{})
	r := f.reportEngine(h, s, mix, run, before)
	r.Warmup = warmed
	r.Config.From(e.sources())
	f.announceEngine(a, h, s, r, e, other, config)
	out, onInterval, shown := a.follow(f, r, other)
	config.OnInterval = onInterval
	cpu, waited := host.CPUTime(), host.RunDelay()
	res, err := f.timing.pinned(f.engine, func() (blast.Result, error) { return e.run(ctx, config) })
	shown()
	spent, delayed := host.CPUTime().Sub(cpu), host.RunDelay()-waited
	if err != nil {
		if res.Submitted == 0 {
			return err
		}
		r.Lost = err.Error() // what was sent until then is told all the same
	}
	sent, sentErr := e.sent()
	if sentErr != nil {
		return errors.Join(err, sentErr)
	}
	r.Fill(config, res)
	if r.Pacing != nil {
		r.Pacing.Method = e.method(&config)
	}
	r.Cost(spent, before, e.info(res.Counts))
	other.report(ctx, r, sent)
	r.Heard(e.icmpErrors(ctx))
	speed, _ := s.LinkSpeed() // 0 where there is none
	r.Limit(speed, delayed)
	r.Conclude()
	finished := a.finishBlast(f, r, out, "")
	if err == nil {
		err = blastFailure(r, res, h, "")
	}
	return errors.Join(finished, err)
}

// openWarm makes the engine ready, and sends what is to be sent before the run.
func (a *app) openWarm(
	ctx context.Context, f *blastFlags, h header, s *session.Session, ns *netns.NS, c blast.Config, p frames.Plan,
) (opened, *blast.WarmupReport, error) {
	if !f.warms() {
		e, err := f.open(h, s, ns, c, p)
		return e, nil, err
	}
	if err := f.lookForPeer(ctx, h, s, ns); err != nil {
		return nil, nil, err
	}
	first := p
	first.Payload = f.warmBody(p.Payload, p.Run)
	first.Stamp = blast.StampNone
	e, err := f.open(h, s, ns, f.warmConfig(c), first)
	if err != nil {
		return nil, nil, err
	}
	warmed, err := a.warm(ctx, f, c, e.run)
	if err == nil {
		err = e.with(ctx, c, p)
	}
	if err != nil {
		return nil, nil, errors.Join(err, e.close())
	}
	return e, warmed, nil
}

// admitEngine is admit, and finds out who gets the frames of an engine that prepares them.
func (f *blastFlags) admitEngine(ctx context.Context, h header, s *session.Session) (blast.Mix, error) {
	mix, err := f.admit(h, s)
	if err != nil || !f.engine.prepared() {
		return mix, err
	}
	if err := f.ether.find(ctx, s); err != nil {
		return mix, err
	}
	return mix, f.spare(s, mix) // the MAC of the next hop may be a group's, too
}

// reportEngine begins the report with the configuration; the sources of sockets are not in it yet.
func (f *blastFlags) reportEngine(h header, s *session.Session, mix blast.Mix, run uint16, queues datapath.Info) *blast.Report {
	r := f.report(h, s, mix, run)
	f.out.head(&r.Head)
	r.Granted, r.ICMPErrors = session.GrantedQueues(queues), []icmp.Error{}
	if !f.engine.prepared() {
		return r
	}
	f.ether.describe(&r.Config, s)
	r.Config.SourceAddresses = f.flows.sources.String()
	r.Config.Sources = []string{f.flows.firstSource(h, s).String()}
	return r
}

// open makes the engine ready.
func (f *blastFlags) open(h header, s *session.Session, ns *netns.NS, c blast.Config, p frames.Plan) (opened, error) {
	switch f.engine {
	case engineXDP:
		return ready(openLive(s, ns, f.timing.cpus, c, p))
	case engineUDP, engineSendmmsg, engineGSO:
		return ready(f.openSockets(h, s, ns, p))
	case enginePacket:
		return ready(openPacket(s, ns, p))
	case engineWSK, engineFrames:
	}
	maker, err := frames.NewMaker(p)
	if err != nil {
		return nil, err
	}
	q, err := openQueue(s, ns, maker)
	if err != nil {
		return nil, err
	}
	return &framesEngine{s: s, q: q, maker: maker}, nil
}

// ready is an engine, or an error and no engine that is nil.
func ready[E opened](e E, err error) (opened, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

// framesEngine is engine frames.
type framesEngine struct {
	deaf
	s     *session.Session
	q     *xdp.Socket
	maker *frames.Maker
}

func (e *framesEngine) run(ctx context.Context, c blast.Config) (blast.Result, error) {
	return frames.Run(ctx, c, e.q, e.maker)
}

func (e *framesEngine) with(_ context.Context, _ blast.Config, p frames.Plan) (err error) {
	e.maker, err = frames.NewMaker(p)
	return err
}

func (e *framesEngine) sent() ([]uint64, error)           { return e.maker.Sent(), nil }
func (e *framesEngine) info(n blast.Counts) datapath.Info { return queueInfo(e.s, e.q, n) }
func (e *framesEngine) close() error                      { return e.q.Close() }

func (*framesEngine) method(c *blast.Config) string     { return c.PacingMethod() }
func (*framesEngine) pacingNote(c *blast.Config) string { return c.PacingNote() }

func (e *framesEngine) text() string {
	g := e.q.Granted()
	return fmt.Sprintf("  engine frames · interface %s · queue 0 · copy mode · ring %d · %d frames per wake-up · kernel %s", g.Ifname, g.TxRing, g.TxBudget,
		host.Kernel())
}

// announceEngine writes the start block.
func (f *blastFlags) announceEngine(a *app, h header, s *session.Session, r *blast.Report, e opened, other *blastPeer, c blast.Config) {
	to, warnings := "to "+r.Config.DestinationMAC, s.Warnings()
	if f.engine.sockets() {
		to, warnings = "next hop "+s.Way.NextHop(), s.LinkWarnings() // that it is not AF_XDP was asked for
	}
	a.note(fmt.Sprintf("wsk-xdp blast %v via %s (mtu %d)  first source %s  %s", h.to, s.Way.Interface.Name, s.Way.MTU, r.Config.Sources[0], to),
		e.text(), r.Plan())
	a.noteIf(h.named(), e.pacingNote(&c), f.note)
	if other != nil {
		a.note(other.line())
	}
	r.Warnings = append(r.Warnings, warnings...)
	a.warn(r.Warnings...)
}
