// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// prepared is an engine that sends frames which are written here, ready to run.
type prepared interface {
	// run sends.
	run(ctx context.Context, c blast.Config) (blast.Result, error)
	// sent is how many numbers were given out to each stream.
	sent() ([]uint64, error)
	// info is what its queues have done; n is what is known of their frames.
	info(n blast.Counts) datapath.Info
	// text is its line of the start block, method how it keeps a rate and note what else is to be said about that.
	text() string
	method() string
	note(rate blast.Rate) string
	close() error
}

// blastPrepared is blast with prepared frames.
func (a *app) blastPrepared(ctx context.Context, f *blastFlags, h header, ns *netns.NS) (err error) {
	body, err := payload.Make(f.payload, f.payloadSize, a.stdin)
	if err != nil {
		return exit.Usagef("%w", err)
	}
	o := f.way.session(h)
	o.NetNS = ns.FD()
	s, err := session.OpenWay(ctx, f.engine.String(), o)
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
	plan, err := f.plan(h, s, body, run)
	if err != nil {
		return err
	}
	config := f.config()
	e, err := f.openPrepared(s, ns, config, plan)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	other, err := f.dialPeer(ctx, h, s, ns, run, body)
	if err != nil {
		return err
	}
	defer other.close()

	if err := f.capture(ctx, h, s, body, run, nil); err != nil {
		return err
	}
	before := e.info(blast.Counts{})
	r := f.reportPrepared(a.line, h, s, mix, run, before)
	f.announcePrepared(a, h, s, r, e, other)
	out, onInterval, shown := a.follow(f, r, other)
	config.OnInterval = onInterval
	cpu, waited := host.CPUTime(), host.RunDelay()
	res, err := e.run(ctx, config)
	shown()
	spent, delayed := host.CPUTime().Sub(cpu), host.RunDelay()-waited
	if err != nil {
		return err
	}
	sent, err := e.sent()
	if err != nil {
		return err
	}
	r.Fill(config, res)
	if r.Pacing != nil {
		r.Pacing.Method = e.method()
	}
	r.Cost(spent, before, e.info(res.Counts))
	other.report(ctx, r, sent)
	speed, _ := s.LinkSpeed() // 0 where there is none
	r.Limit(speed, delayed)
	r.Conclude()
	return errors.Join(a.finishBlast(f, r, out, ""), blastFailure(r, res, h, ""))
}

// reportPrepared begins the report with the configuration.
func (f *blastFlags) reportPrepared(command []string, h header, s *session.Session, mix blast.Mix, run uint16, queues datapath.Info) *blast.Report {
	r := f.report(h, s, mix.Tagged(len(f.ether.tags(s))), run)
	r.Command = command
	r.Granted, r.ICMPErrors = session.GrantedQueues(queues), []icmp.Error{}
	f.ether.describe(&r.Config, s)
	r.Config.SourceAddresses, r.Config.CPUs = f.flows.sources.String(), f.live.cpus
	r.Config.Sources = []string{f.flows.firstSource(h, s).String()}
	return r
}

// openPrepared makes the engine ready.
func (f *blastFlags) openPrepared(s *session.Session, ns *netns.NS, c blast.Config, p frames.Plan) (prepared, error) {
	if f.engine == engineXDP {
		e, err := f.live.open(s, ns, c, p)
		if err != nil {
			return nil, err // not an engine that is nil
		}
		return e, nil
	}
	maker, err := frames.NewMaker(p)
	if err != nil {
		return nil, err
	}
	q, err := openQueue(s, ns, maker)
	if err != nil {
		return nil, err
	}
	return &framesEngine{s, q, maker}, nil
}

// framesEngine is engine frames.
type framesEngine struct {
	s     *session.Session
	q     *xdp.Socket
	maker *frames.Maker
}

func (e *framesEngine) run(ctx context.Context, c blast.Config) (blast.Result, error) {
	return frames.Run(ctx, c, e.q, e.maker)
}

func (e *framesEngine) sent() ([]uint64, error)           { return e.maker.Sent(), nil }
func (e *framesEngine) info(n blast.Counts) datapath.Info { return queueInfo(e.s, e.q, n) }
func (e *framesEngine) method() string                    { return blast.PacingMethod }
func (e *framesEngine) note(rate blast.Rate) string       { return blast.PacingNote(rate) }
func (e *framesEngine) close() error                      { return e.q.Close() }

func (e *framesEngine) text() string {
	g := e.q.Granted()
	return fmt.Sprintf("  engine frames · interface %s · queue 0 · copy mode · ring %d · %d frames per wake-up · kernel %s", g.Ifname, g.TxRing, g.TxBudget,
		host.Kernel())
}

// announcePrepared writes the start block.
func (f *blastFlags) announcePrepared(a *app, h header, s *session.Session, r *blast.Report, e prepared, other *blastPeer) {
	a.note(fmt.Sprintf("wsk-xdp blast %v via %s (mtu %d)  first source %s  to %s", h.to, s.Way.Interface.Name, s.Way.MTU, r.Config.Sources[0],
		r.Config.DestinationMAC), e.text(), r.Plan())
	a.noteIf(h.named(), e.note(f.pace), f.note)
	if other != nil {
		a.note(other.line())
	}
	r.Warnings = append(r.Warnings, s.Warnings()...)
	a.warn(r.Warnings...)
}
