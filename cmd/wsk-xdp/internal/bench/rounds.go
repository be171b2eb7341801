// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
)

// Progress is a run that has just ended.
type Progress struct {
	Size, Round int
	Engine      string
	PPS         float64
	Err         error
}

// contestant is an engine or another program with its runs. A run that failed is nil, so that runs of one round
// have one index.
type contestant struct {
	name    string
	engine  string // of ours
	place   *place
	command string // of another program
	runs    stats.Runs[measured]
	err     error // the first failure
}

// comparison is all runs at one size.
type comparison struct {
	size        int
	contestants []*contestant
}

// Run compares. Engines that fail are left out of the further rounds and named in the error; the report has what there
// is.
func Run(ctx context.Context, c Config) (_ *Report, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	places, err := openPlaces(ctx, &c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(places)) }()
	for _, p := range places {
		if size := slices.Max(c.Sizes); size-18 > p.mtu {
			return nil, exit.Usagef("a frame of %d bytes is above the MTU of %s, %d", size, p.iface, p.mtu)
		}
	}
	defer proc.AdoptOrphans()()
	load := host.LoadAverage()
	var all []*comparison
	var errs []error
	for _, size := range c.Sizes {
		one := newComparison(&c, places, size)
		all = append(all, one)
		if err := one.run(ctx, &c); err != nil {
			errs = append(errs, err)
			if ctx.Err() != nil {
				break
			}
		}
	}
	return newReport(&c, places[0], all, load), errors.Join(errs...)
}

func openPlaces(ctx context.Context, c *Config) ([]*place, error) {
	if c.Interface == "" {
		return openLabs(c)
	}
	p, err := onInterface(ctx, c)
	if err != nil {
		return nil, err
	}
	return []*place{p}, nil
}

func newComparison(c *Config, places []*place, size int) *comparison {
	one := &comparison{size: size}
	for i, p := range places {
		called := func(name string) string {
			if i > 0 {
				name = fmt.Sprintf("%s@%d", name, p.mtu)
			}
			return name
		}
		for _, name := range c.Engines {
			one.contestants = append(one.contestants, &contestant{name: called(name), engine: name, place: p})
		}
		for _, e := range c.Externals {
			one.contestants = append(one.contestants, &contestant{name: called(e.Name), command: e.Command, place: p})
		}
	}
	return one
}

func (one *comparison) run(ctx context.Context, c *Config) error {
	for round := range c.Runs {
		for _, i := range stats.Order(len(one.contestants), round) {
			who := one.contestants[i]
			if who.err != nil {
				who.runs = append(who.runs, nil)
				continue
			}
			m, err := one.once(ctx, c, who)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				who.err = fmt.Errorf("%s at %d bytes: %w", who.name, one.size, err)
				who.runs = append(who.runs, nil)
			} else {
				who.runs = append(who.runs, &m)
				one.doubt(c, who, &m)
			}
			if c.Progress != nil {
				c.Progress(Progress{Size: one.size, Round: round, Engine: who.name, PPS: m.pps, Err: err})
			}
		}
	}
	var errs []error
	for _, who := range one.contestants {
		errs = append(errs, who.err)
	}
	return errors.Join(errs...)
}

// once is one run.
func (one *comparison) once(ctx context.Context, c *Config, who *contestant) (measured, error) {
	p := who.place
	count, bytes, err := p.count()
	if err != nil {
		return measured{}, err
	}
	var s *proc.Process
	if who.command != "" {
		s, err = proc.StartShell(p.do, expand(who.command, c, p, one.size), p.elsewhere)
	} else {
		payload, _ := blast.PayloadOfFrame(true, one.size) // checked
		s, err = proc.StartChild(p.do, c.Child, &job{
			Engine: who.engine, Interface: p.iface, IfIndex: p.ifIndex, SrcMAC: p.srcMAC, Source: p.source, Targets: p.targets,
			Payload: payload, Queues: c.Queues, Pin: c.Pin,
		})
	}
	if err != nil {
		return measured{}, err
	}
	return measure(ctx, c, p, s, look{count: count}, bytes)
}

// lossTolerated is the share of datagrams that may be missing before it is worth a word.
const lossTolerated = 0.001

// doubt says what is wrong with a run that still counts.
func (one *comparison) doubt(c *Config, who *contestant, m *measured) {
	if m.frame != 0 && (m.frame < float64(one.size-fcsLen)-0.5 || m.frame > float64(one.size-fcsLen)+0.5) {
		c.warn("%s at %d bytes: its frames have %.1f bytes with FCS: it does not send what the others do", who.name, one.size,
			m.frame+fcsLen)
	}
	if m.sent == 0 {
		return
	}
	if missing := float64(m.sent) - float64(m.arrived); missing > lossTolerated*float64(m.sent) {
		c.warn("%s at %d bytes: of %d datagrams sent %d arrived (%d reported as failed)", who.name, one.size, m.sent, m.arrived, m.failed)
	}
}
