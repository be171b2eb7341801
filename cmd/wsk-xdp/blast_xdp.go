// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/liveframes"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// checkLive refuses what engine xdp can't do with such a batch, and so many flows from so many processors.
func checkLive(batch, flows, cpus int) error {
	if batch > liveframes.MaxBatch {
		return exit.Usagef("--batch %d: the kernel makes at most %d frames at a time", batch, liveframes.MaxBatch)
	}
	if cpus > 0 {
		if err := liveframes.LanesFit(uint64(flows), cpus); err != nil {
			return exit.Usagef("--cpus and --flows: %w", err)
		}
	}
	return nil
}

// openLive makes engine xdp ready.
func openLive(s *session.Session, ns *netns.NS, cpus []int, c blast.Config, p frames.Plan) (*liveEngine, error) {
	e := &liveEngine{device: liveframes.Device{Name: s.Way.DeviceName(), Index: s.Way.Device.Index}, cpus: cpus, ns: ns}
	if err := ns.Do(func() error { return liveframes.Check(e.device) }); err != nil {
		return nil, liveError(err)
	}
	if err := e.load(c, p); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *liveEngine) with(_ context.Context, c blast.Config, p frames.Plan) error {
	return e.load(c, p)
}

// load loads the programs of a run, in the place of those of one before.
func (e *liveEngine) load(c blast.Config, p frames.Plan) error {
	if e.sender != nil {
		if err := e.sender.Close(); err != nil {
			return err
		}
		e.sender = nil
	}
	return liveError(e.ns.Do(func() (err error) {
		e.sender, err = liveframes.Open(c, p, liveframes.Options{Device: e.device, CPUs: e.cpus, Spin: c.Spin})
		return err
	}))
}

// liveError is what is wrong with an engine that did not open.
func liveError(err error) error {
	switch {
	case errors.Is(err, liveframes.ErrImpossible) || errors.Is(err, fs.ErrPermission):
		return exit.NotPossiblef("engine xdp: %w", err)
	case errors.Is(err, liveframes.ErrTooLong):
		return exit.Usagef("engine xdp: %w", err)
	}
	return err
}

// liveEngine is engine xdp.
type liveEngine struct {
	deaf
	sender *liveframes.Sender
	device liveframes.Device
	cpus   []int
	ns     *netns.NS
}

func (e *liveEngine) run(ctx context.Context, c blast.Config) (blast.Result, error) {
	return e.sender.Run(ctx, c.OnInterval)
}

func (e *liveEngine) sent() ([]uint64, error)         { return e.sender.Sent() }
func (e *liveEngine) info(blast.Counts) datapath.Info { return datapath.Info{} } // it has no queue of its own

func (e *liveEngine) close() error {
	if e.sender == nil { // it could not be loaded anew
		return nil
	}
	return e.sender.Close()
}

func (e *liveEngine) text() string {
	return fmt.Sprintf("  engine xdp · interface %s · live frames, handed to the driver by %s · kernel %s", e.device.Name,
		units.Plural(max(len(e.cpus), 1), "thread"), host.Kernel())
}

func (e *liveEngine) method(*blast.Config) string { return e.sender.Method() }

func (e *liveEngine) pacingNote(c *blast.Config) string {
	rate := c.Rate
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
