// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
)

// report begins the report with the configuration.
func (f *blastFlags) report(h header, s *session.Session, mix blast.Mix, run uint16) *blast.Report {
	r := &blast.Report{
		Head: host.NewHead(blast.Schema), Path: s.Path(),
		Granted: session.GrantedQueues(s.Info()), Warnings: []string{}, Intervals: []blast.IntervalReport{},
	}
	r.Mix, r.ByDaemon = mix, f.way.via != ""
	r.Config = blast.ConfigReport{
		Engine: f.engine.String(), Destination: h.to.String(), Name: h.name, Flows: f.flows.n, FlowOrder: f.flows.order.String(), Seed: f.flows.seed,
		Addresses: f.flows.to.String(), Ports: f.flows.toPorts.String(), SourcePorts: f.flows.ports.String(),
		Queues: f.queues, Payload: f.payloadSize, WireL2: mix.MeanL2(), WireL1: mix.MeanL1(), Frames: mix.Frames,
		RateMax: f.rate.IsMax(), RateAsked: f.rate.String(), RateLayer: f.layer.String(), Rate: f.pace.Whole(), MicroRate: uint64(f.pace),
		Count: uint64(f.count), Duration: time.Duration(f.duration).Nanoseconds(), Batch: f.batch, InFlight: f.inFlight, TTL: f.way.ttl,
		DF: f.way.df, Mode: f.way.mode.String(), Require: f.way.require.String(), Interface: f.way.iface,
		Stamp: f.stamp.String(), Run: run,
	}
	r.Config.CPUs = f.timing.cpus
	if n := uint64(f.timing.burst); n > 1 {
		r.Config.Burst = n
	}
	for i, s := range f.timing.steps {
		r.Config.Schedule = append(r.Config.Schedule, blast.ScheduleStep{
			Asked: f.timing.schedule[i].Rate.String(), MicroRate: uint64(s.Rate), Duration: s.Length.Nanoseconds(),
		})
	}
	if len(f.timing.steps) > 0 {
		r.Config.RateAsked = f.timing.schedule.String()
	}
	switch {
	case len(f.sizes) > 1:
		r.Config.Sizes = f.size.String()
	case mix.Frames == 1:
		r.Config.Frame = mix.L2Bytes
	}
	if h.setTOS {
		r.Config.TOS = &h.tos
	}
	r.Config.From(s.Sources()) // none with engine frames
	return r
}

// follow shows the intervals of a run while it goes on, in the live line and on standard output. shown waits until all of them are.
func (a *app) follow(f *blastFlags, r *blast.Report, other *blastPeer) (out *told, on func(blast.Interval), shown func()) {
	out = a.stream(&f.out)
	out.Begin(blast.Schema, r.Config, blast.IntervalReport{})
	tell, told := inBackground(func(i blast.IntervalReport) { out.Interval(blast.Schema, i) })
	show := startLive(f.out.live(), r.Mix, r.Config.Engine)
	on = func(i blast.Interval) {
		tell(r.Interval(i))
		show.interval(i, other.arrived())
	}
	return out, on, func() {
		show.stop()
		told()
	}
}
