// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
)

// startTime is how long a sender may take until its first datagram: 10,000 sockets take a while.
const startTime = time.Minute

// settleRoute is how much longer the warm-up is for each route of the table, which a sender may read first.
const settleRoute = 3 * time.Microsecond

// Run measures. What fails is left out of the further rounds and named in the error; the report has what there is, and is
// nil when that is nothing.
func Run(ctx context.Context, c Config) (_ *Report, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	all := worlds{}
	defer func() { err = errors.Join(err, all.close()) }()
	load := host.LoadAverage()
	var list []*contestant
	var turns []*stats.Contestant[figures]
	for _, p := range c.points() {
		if _, err := all.of(&p); err != nil {
			return nil, err
		}
		for _, name := range c.Engines {
			who := &contestant{Point: p, engine: name}
			who.What = fmt.Sprintf("%s at %s", name, p)
			list, turns = append(list, who), append(turns, &who.Contestant)
		}
	}
	once := func(i int) (*figures, error) { return c.once(ctx, all, list[i]) }
	err = stats.Rounds(ctx, c.Runs, turns, once, func(round, i int, f *figures, err error) {
		p := Progress{Point: list[i].Point, Engine: list[i].engine, Round: round, Err: err}
		if f != nil {
			p.PPS = f.pps
		}
		if c.Progress != nil {
			c.Progress(p)
		}
	})
	r := newReport(&c, list, load)
	return stats.OrNil(r, len(r.Scale), err)
}

// once is one run.
func (c *Config) once(ctx context.Context, all worlds, who *contestant) (_ *figures, err error) {
	w, err := all.of(&who.Point)
	if err != nil {
		return nil, err
	}
	before, err := w.Counter.Count()
	if err != nil {
		return nil, err
	}
	s, err := proc.StartChild(w.A.NS.Do, proc.Part(c.Child, PartSend), &task{
		Engine: who.engine, Interface: w.A.If.Name(), IPVersion: who.IPVersion, Destinations: who.Destinations, Sockets: who.Sockets,
	})
	if err != nil {
		return nil, err
	}
	f, err := c.window(ctx, w, who, s)
	stopErr := s.Stop(proc.StopTime)
	if errors.Is(err, proc.ErrEnded) {
		return nil, fmt.Errorf("%w: %w", err, s.Failure())
	}
	if err = errors.Join(err, stopErr); err != nil {
		return nil, err
	}
	var done event
	events := s.Events()
	if json.Unmarshal(events[len(events)-1], &done) != nil || done.Event != eventDone {
		return nil, errors.New("the sender ended without its report")
	}
	after, err := w.Counter.Count()
	f.sent, f.arrived, f.slow, f.asked = done.Sent, after-before, float64(done.Slow), float64(done.Asked)
	return f, err
}

// window opens on a sender that has just been started.
func (c *Config) window(ctx context.Context, w *world, who *contestant, s *proc.Process) (f *figures, err error) {
	var begun event
	if err := s.NextWithin(ctx, startTime, &begun); err != nil {
		return nil, err
	}
	if who.Changes > 0 {
		changing, stop := context.WithCancel(ctx)
		ended, changed, began := make(chan error, 1), 0, time.Now()
		go func() {
			n, err := w.change(changing, who.IPVersion, who.Changes)
			changed = n
			ended <- err
		}()
		defer func() {
			stop()
			err = errors.Join(err, <-ended)
			if f != nil {
				f.changes = float64(changed) / time.Since(began).Seconds()
			}
		}()
	}
	if err := s.Pause(ctx, c.Warmup+time.Duration(who.Routes)*settleRoute); err != nil {
		return nil, err
	}
	open, err := lookAt(w, s)
	if err != nil {
		return nil, err
	}
	shut := open
	// On a busy machine the sender may not have run during all of a short window: then it stays open.
	for shut.count == open.count && shut.at.Sub(open.at) < max(c.Duration, startTime) {
		if err := s.Pause(ctx, c.Duration); err != nil {
			return nil, err
		}
		if shut, err = lookAt(w, s); err != nil {
			return nil, err
		}
	}
	n := float64(shut.count - open.count)
	if n == 0 {
		return nil, errors.New("nothing arrived while the window was open")
	}
	cpu, user := shut.usage.Since(open.usage)
	return &figures{
		pps: n / shut.at.Sub(open.at).Seconds(), cpuNs: float64(cpu) / n, userNs: float64(user) / n,
		rss: proc.PeakRSS([]int{s.Pid()}), first: begun.First,
	}, nil
}

// look is what is looked at together.
type look struct {
	at    time.Time
	count uint64
	usage proc.Usage
}

func lookAt(w *world, s *proc.Process) (l look, err error) {
	before := time.Now()
	if l.count, err = w.Counter.Count(); err != nil {
		return l, err
	}
	l.usage = proc.UsageOf([]int{s.Pid()})
	l.at = before.Add(time.Since(before) / 2)
	return l, nil
}
