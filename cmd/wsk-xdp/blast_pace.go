// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// paceFlags say what falls due when, beside the rate, and how that is kept.
type paceFlags struct {
	schedule units.Schedule
	burst    units.Count
	warmup   units.Duration
	cpus     []int
	pacing   pacing

	steps []blast.Step // the rates in packets, known with the way
}

// maxBurst is as many packets as may be in flight.
const maxBurst = 1 << 20

func (p *paceFlags) add(fl *pflag.FlagSet) {
	fl.Var(&p.schedule, "schedule", "rates one after the other, each for its time, instead of --rate and --duration: 100k:10s,1M:30s")
	fl.Var(&p.burst, "burst", "so many packets fall due at once, as many a second as --rate says (default 1)")
	fl.Var(&p.warmup, "warmup", "send for this time before the run, and count nothing of it")
	fl.Var(&p.pacing, "pacing", "how a rate is kept: by sleeps, or by a busy processor (auto: where there are four)")
	fl.IntSliceVar(&p.cpus, "cpus", nil, "the `processor` that is sent from; several with engine xdp, a thread on each: 2,3 (default: any)")
	for _, name := range []string{"schedule", "burst", "warmup"} {
		fl.Lookup(name).DefValue = ""
	}
}

// check refuses what can't be sent at such times by an engine, at a rate or as fast as it goes.
func (p *paceFlags) check(given func(string) bool, e engine, max bool) error {
	xdp := e == engineXDP
	switch {
	case given("burst") && (p.burst < 1 || p.burst > maxBurst):
		return exit.Usagef("--burst %d is outside 1..%d", p.burst, maxBurst)
	case given("burst") && max:
		return exit.Usagef("--burst and --rate max: there is no pause between the bursts")
	case given("pacing") && max:
		return exit.Usagef("--pacing is how a rate is kept, and --rate max is none")
	case xdp && p.pacing == pacingSpin && p.burst > 1:
		return exit.Usagef("--burst and --pacing spin: with engine xdp a program in the kernel sends each packet when it is due: --pacing sleep")
	case xdp && p.pacing == pacingSpin && len(p.schedule) > 0:
		return exit.Usagef("--schedule and --pacing spin: with engine xdp a program in the kernel keeps one rate: --pacing sleep")
	}
	seen := map[int]bool{}
	for _, cpu := range p.cpus {
		if seen[cpu] {
			return exit.Usagef("--cpus names processor %d twice: a thread has one of its own", cpu)
		}
		if seen[cpu] = true; host.MayRunOn(cpu) != nil {
			return exit.Usagef("--cpus %d: there is no such processor, or none for this process", cpu)
		}
	}
	if len(p.cpus) > 1 && !xdp {
		return exit.Usagef("--cpus names %d processors: engine %v sends from one thread, name one", len(p.cpus), e)
	}
	return nil
}

// scheduled refuses what a schedule says already, and steps that are none.
func (p *paceFlags) scheduled(given func(string) bool) error {
	for _, name := range []string{"rate", "duration"} {
		if given(name) {
			return exit.Usagef("--schedule and --%s: the steps say how fast, and for how long", name)
		}
	}
	for _, step := range p.schedule {
		if micro, ok := step.Rate.InPackets(); ok {
			if err := oneIsDue(step.Rate, blast.Rate(micro), time.Duration(step.For)); err != nil {
				return err
			}
		}
	}
	return nil
}

// mean turns the rates of the schedule, or the one rate, into packets. It is their mean.
func (p *paceFlags) mean(rate units.Rate, layer units.Layer, mix blast.Mix, s *session.Session) (blast.Rate, error) {
	if len(p.schedule) == 0 {
		return paceOf(rate, layer, mix, s)
	}
	p.steps = nil
	for _, step := range p.schedule {
		pace, err := paceOf(step.Rate, layer, mix, s)
		if err == nil {
			err = oneIsDue(step.Rate, pace, time.Duration(step.For))
		}
		if err != nil {
			return 0, err
		}
		p.steps = append(p.steps, blast.Step{Rate: pace, Length: time.Duration(step.For)})
	}
	return blast.Mean(p.steps), nil
}

// oneIsDue refuses a rate at which nothing would be sent in the time.
func oneIsDue(given units.Rate, rate blast.Rate, d time.Duration) error {
	if d > 0 && rate > 0 && blast.Due(rate, d) == 0 {
		return exit.Usagef("--rate %v for %v is not one packet: send for longer, or faster", given, d)
	}
	return nil
}

// spins is whether the sender, or the program of engine xdp, watches the clock.
func (p *paceFlags) spins(e engine, max bool) bool {
	const enough = 4 // processors, of which one may be busy with nothing else
	switch {
	case max:
		return false
	case e == engineXDP && (p.burst > 1 || len(p.schedule) > 0):
		return false
	}
	return p.pacing == pacingSpin || p.pacing == pacingAuto && runtime.NumCPU() >= enough
}

// pinned runs a sender on the processor that was named for it. Engine xdp has threads of its own.
func (p *paceFlags) pinned(e engine, run func() (blast.Result, error)) (res blast.Result, err error) {
	if len(p.cpus) == 0 || e == engineXDP {
		return run()
	}
	err = host.OnProcessor(p.cpus[0], func() (err error) {
		res, err = run()
		return err
	})
	return res, err
}
