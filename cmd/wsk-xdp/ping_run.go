// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

func (a *app) ping(ctx context.Context, f *pingFlags, h header, ns *netns.NS) (err error) {
	clock, err := stamp.NewClock()
	if err != nil {
		return err
	}
	body, run := make([]byte, f.payloadSize), uint16(rand.Uint32())
	schedule := ping.Schedule{Rate: f.pace, Count: uint64(f.count), Duration: time.Duration(f.duration)}
	tally := ping.NewTally(schedule, time.Duration(f.timeout), run, body, clock)
	link, err := a.openPinger(ctx, f, h, ns, body, tally)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, link.close(ctx)) }()
	r := f.report(h, run)
	f.out.head(&r.Head)
	load, err := f.openLoad(link, run, body, clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, load.close()) }()
	a.note(link.begin(r)...)
	a.noteIf(h.named())
	a.note(r.Plan())
	a.warn(r.Warnings...)

	live, cpu, told := output.NewLive(f.out.live()), host.CPUTime(), len(r.Warnings)
	out := a.stream(&f.out)
	out.Begin(ping.Schema, r.Config, ping.IntervalReport{})
	load.start(ctx)
	res := ping.Run(ctx, tally, link, func(i ping.Interval) {
		out.Interval(ping.Schema, r.Interval(i))
		live.Show(ping.Line(i))
	})
	live.End()
	err = load.stop(r.Load)
	r.CPU = host.CPUTime().Sub(cpu).Total().Nanoseconds()
	r.Fill(tally, res)
	advice, ended := link.end(ctx, r)
	err = errors.Join(err, ended)
	a.warn(r.Warnings[told:]...)
	r.Conclude()
	return errors.Join(out.End(ping.Schema, r, r.Tables()...), err, pingFailure(r, advice))
}

// report begins the report with the configuration.
func (f *pingFlags) report(h header, run uint16) *ping.Report {
	r := &ping.Report{
		Head:       host.NewHead(ping.Schema),
		ICMPErrors: []icmp.Error{}, Intervals: []ping.IntervalReport{}, Warnings: []string{},
		Config: ping.ConfigReport{
			Engine: f.engine, Destination: h.to.String(), Payload: f.payloadSize, MicroRate: uint64(f.pace), Count: uint64(f.count),
			Duration: time.Duration(f.duration).Nanoseconds(), Timeout: time.Duration(f.timeout).Nanoseconds(), TTL: f.way.ttl, DF: f.way.df,
			Interface: f.way.iface, Run: run,
		},
	}
	if h.setTOS {
		r.Config.TOS = &h.tos
	}
	if f.loaded() {
		r.Load = &ping.LoadReport{Run: loadRun(run), MicroRate: uint64(f.load)}
	}
	return r
}

// pingFailure is the error of a run to which nothing came back.
func pingFailure(r *ping.Report, advice string) error {
	switch {
	case !r.Unanswered():
		return nil
	case advice != "":
		return fmt.Errorf("%s: %s", r.Verdict.Text, advice)
	}
	return errors.New(r.Verdict.Text)
}
