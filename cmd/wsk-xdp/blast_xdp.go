// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/liveframes"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// liveFlags are those of engine xdp alone.
type liveFlags struct {
	cpus   []int
	pacing pacing
}

func (l *liveFlags) add(fl *pflag.FlagSet) {
	fl.IntSliceVar(&l.cpus, "cpus", nil, "`processors` that engine xdp sends from, a thread on each: 2,3 (default: one thread, on any)")
	fl.Var(&l.pacing, "pacing", "how engine xdp keeps a rate: in bursts of 10 ms, or exactly by a busy processor")
}

// check refuses what can't be, with such a batch and so many flows. given is whether a flag was.
func (l *liveFlags) check(given func(string) bool, batch, flows int, max bool) error {
	seen := map[int]bool{}
	for _, cpu := range l.cpus {
		if cpu < 0 || cpu >= 1<<13 {
			return exit.Usagef("--cpus %d: there is no such processor", cpu)
		}
		if seen[cpu] {
			return exit.Usagef("--cpus names processor %d twice: a thread has one of its own", cpu)
		}
		seen[cpu] = true
	}
	switch {
	case batch > liveframes.MaxBatch:
		return exit.Usagef("--batch %d: the kernel makes at most %d frames at a time", batch, liveframes.MaxBatch)
	case given("pacing") && max:
		return exit.Usagef("--pacing is how a rate is kept, and --rate max is none")
	}
	if n := len(l.cpus); n > 0 {
		if err := liveframes.LanesFit(uint64(flows), n); err != nil {
			return exit.Usagef("--cpus and --flows: %w", err)
		}
	}
	return nil
}

// spins is whether the program keeps the rate.
func (l *liveFlags) spins() bool {
	const enough = 4 // of which one may be busy with nothing else
	return l.pacing == pacingSpin || l.pacing == pacingAuto && runtime.NumCPU() >= enough
}

// open makes engine xdp ready.
func (l *liveFlags) open(s *session.Session, ns *netns.NS, c blast.Config, p frames.Plan) (_ *liveEngine, err error) {
	e := &liveEngine{device: liveframes.Device{Name: s.Way.DeviceName(), Index: s.Way.Device.Index}, cpus: len(l.cpus)}
	err = ns.Do(func() error {
		if err := liveframes.Check(e.device); err != nil {
			return err
		}
		e.sender, err = liveframes.Open(c, p, liveframes.Options{Device: e.device, CPUs: l.cpus, Spin: l.spins()})
		return err
	})
	switch {
	case errors.Is(err, liveframes.ErrImpossible) || errors.Is(err, fs.ErrPermission):
		return nil, exit.NotPossiblef("engine xdp: %w", err)
	case errors.Is(err, liveframes.ErrTooLong):
		return nil, exit.Usagef("engine xdp: %w", err)
	case err != nil:
		return nil, err
	}
	return e, nil
}

// liveEngine is engine xdp.
type liveEngine struct {
	sender *liveframes.Sender
	device liveframes.Device
	cpus   int
}

func (e *liveEngine) run(ctx context.Context, c blast.Config) (blast.Result, error) {
	return e.sender.Run(ctx, c.OnInterval)
}

func (e *liveEngine) sent() ([]uint64, error)         { return e.sender.Sent() }
func (e *liveEngine) info(blast.Counts) datapath.Info { return datapath.Info{} } // it has no queue of its own
func (e *liveEngine) method() string                  { return e.sender.Method() }
func (e *liveEngine) close() error                    { return e.sender.Close() }

func (*liveEngine) sources() []netip.AddrPort               { return nil }
func (*liveEngine) icmpErrors(context.Context) []icmp.Error { return []icmp.Error{} } // nobody hears them

func (e *liveEngine) text() string {
	return fmt.Sprintf("  engine xdp · interface %s · live frames, handed to the driver by %s · kernel %s", e.device.Name,
		units.Plural(max(e.cpus, 1), "thread"), host.Kernel())
}

func (e *liveEngine) note(rate blast.Rate) string {
	if rate == 0 {
		return ""
	}
	grain := e.sender.Grain()
	if grain == 0 {
		return "  pacing: " + e.sender.Method()
	}
	note := fmt.Sprintf("  pacing: %s, each of which takes the kernel some 10 ms", e.sender.Method())
	if burst := uint64(rate.PerSecond() * (10 * time.Millisecond).Seconds()); burst > 1 {
		note += fmt.Sprintf(": bursts of about %s packets", units.Grouped(burst))
	}
	return note + " (--pacing spin sends each when it is due)"
}

// pacing is how a rate is kept. It implements pflag.Value.
type pacing uint8

const (
	pacingAuto pacing = iota
	pacingSleep
	pacingSpin
)

var pacingNames = [...]string{pacingAuto: "auto", pacingSleep: "sleep", pacingSpin: "spin"}

// String is the word on the command line.
func (p pacing) String() string { return pacingNames[p] }

// Type names the form in help texts.
func (p *pacing) Type() string { return "auto|sleep|spin" }

// Set parses the word.
func (p *pacing) Set(s string) error {
	for i, name := range pacingNames {
		if s == name {
			*p = pacing(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of auto, sleep, spin", s)
}
