// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Progress is a start.
type Progress struct {
	Kind   string
	Queues int
	Round  int
	First  time.Duration // from the start of the process to the first datagram
	Err    error
}

// contestant is a kind with its laboratory.
type contestant struct {
	kind   string
	queues int
	lab    *testenv.Lab
	runs   []run
	err    error // the first failure

	resting *proc.Process // the last
	rss     uint64
	idle    float64 // CPU time per time, negative when it was not measured
}

// run is one start.
type run struct {
	opened
	first time.Duration // from the start of the process to the first datagram
}

const (
	port      = 9000
	startTime = 30 * time.Second
)

// Run measures. Kinds that fail are named in the error; the report has what there is,
// and is nil when that is nothing.
func Run(ctx context.Context, c Config) (_ *Report, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	var all []*contestant
	defer func() {
		for _, who := range all {
			err = errors.Join(err, who.lab.Close())
		}
	}()
	load := host.LoadAverage()
	for _, kind := range c.Kinds {
		numbers := c.Queues
		if !many(kind) {
			numbers = []int{1}
		}
		for _, n := range numbers {
			lab, err := newLab(n)
			if err != nil {
				return nil, err
			}
			all = append(all, &contestant{kind: kind, queues: n, lab: lab, idle: -1})
		}
	}
	err = c.starts(ctx, all)
	if err == nil {
		err = c.rest(ctx, all)
	}
	for _, who := range all {
		if who.resting != nil {
			err = errors.Join(err, who.resting.Stop(proc.StopTime))
		}
		if who.err != nil {
			err = errors.Join(err, fmt.Errorf("%s with %d queues: %w", who.kind, who.queues, who.err))
		}
	}
	r := newReport(&c, all, load)
	return stats.OrNil(r, len(r.Footprint), err)
}

// newLab is a veth pair with so many queues whose far end drops in XDP.
func newLab(queues int) (*testenv.Lab, error) {
	return testenv.NewLab(testenv.Topology{
		A: testenv.End{TX: queues}, B: testenv.End{TX: queues}, Neighbours: testenv.Static, NoIPv6: true, Offloads: true, PeerXDP: testenv.XDPDrop,
	})
}

// starts starts every kind in turn, and leaves the last of each resting. The only error is that of the caller's
// context.
func (c *Config) starts(ctx context.Context, all []*contestant) error {
	for round := range c.Runs {
		for _, i := range stats.Order(len(all), round) {
			who := all[i]
			if who.err != nil {
				continue
			}
			r, p, err := c.start(ctx, who)
			who.resting = p // Run stops it, even if the context has ended just now
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				who.runs = append(who.runs, r)
				if round < c.Runs-1 {
					who.resting = nil
					err = p.Stop(proc.StopTime)
				}
			}
			who.err = err
			if c.Progress != nil {
				c.Progress(Progress{Kind: who.kind, Queues: who.queues, Round: round, First: r.first, Err: err})
			}
		}
	}
	return nil
}

func (c *Config) start(ctx context.Context, who *contestant) (r run, p *proc.Process, err error) {
	begun := monotonic()
	p, err = proc.StartChild(who.lab.A.NS.Do, proc.Part(c.Child, PartRest), &task{
		Kind: who.kind, Interface: who.lab.A.If.Name(), Queues: who.queues,
		Local: netip.AddrPortFrom(who.lab.A.IPv4(), port), Peer: netip.AddrPortFrom(who.lab.B.IPv4(), port),
	})
	if err != nil {
		return r, nil, err
	}
	if err := p.NextWithin(ctx, startTime, &r.opened); err != nil {
		return r, nil, errors.Join(err, p.Stop(proc.StopTime))
	}
	r.first = time.Duration(r.At - begun)
	if many(who.kind) && r.Queues != who.queues {
		err = fmt.Errorf("%d of %d queues were opened", r.Queues, who.queues)
		return r, nil, errors.Join(err, p.Stop(proc.StopTime))
	}
	return r, p, nil
}

// rest looks at those that rest, all at the same time.
func (c *Config) rest(ctx context.Context, all []*contestant) error {
	before := make([]proc.Usage, len(all))
	each := func(f func(i int, pid []int)) {
		for i, who := range all {
			if who.resting != nil {
				f(i, []int{who.resting.Pid()})
			}
		}
	}
	if err := sleep(ctx, c.Settle); err != nil {
		return err
	}
	begun := time.Now()
	each(func(i int, pid []int) {
		all[i].rss = proc.RSS(pid)
		before[i] = proc.UsageOf(pid)
	})
	if c.Idle == 0 {
		return nil
	}
	if err := sleep(ctx, c.Idle); err != nil {
		return err
	}
	each(func(i int, pid []int) {
		cpu, _ := proc.UsageOf(pid).Since(before[i])
		all[i].idle = float64(cpu) / float64(time.Since(begun))
		select {
		case <-all[i].resting.Ended():
			all[i].err = proc.ErrEnded
		default:
		}
	})
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
