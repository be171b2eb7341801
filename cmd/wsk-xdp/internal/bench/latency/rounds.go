// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Progress is a run that has just ended.
type Progress struct {
	Measure, Engine string
	Round           int
	P50, P99        time.Duration
	Err             error
}

// Names of the parts that a child is started as.
const (
	PartEcho    = "latency-echo"
	PartMeasure = "latency-measure"
)

// startTime bounds what has nothing to do with the measurement. It only keeps a run from hanging.
const startTime = 30 * time.Second

const port = 9000

// contestant is an engine under one measure with its runs, nil for one that failed.
type contestant struct {
	stats.Contestant[figures]
	measure string
	engine  *engine
}

// figures are what one run gave.
type figures struct {
	percentiles
	cores float64 // CPU time per time, of both ends
}

// Run measures. Engines that fail are left out of the further rounds and named in the error; the report has what there
// is, and is nil when that is nothing.
func Run(ctx context.Context, c Config) (_ *Report, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	var all []*contestant
	var errs []error
	load := host.LoadAverage()
	for _, measure := range c.Measures {
		var some []*contestant
		for _, name := range c.Engines {
			if e := find(name); e.measures(measure) {
				who := &contestant{measure: measure, engine: e}
				who.What = measure + " of " + name
				some = append(some, who)
			}
		}
		all = append(all, some...)
		if err := c.rounds(ctx, measure, some); err != nil {
			errs = append(errs, err)
			if ctx.Err() != nil || errors.Is(err, fs.ErrPermission) {
				break // nor is any other laboratory to be had
			}
		}
	}
	r := newReport(&c, all, load)
	return stats.OrNil(r, len(r.Latency), errors.Join(errs...))
}

// rounds measures one thing in a laboratory of its own.
func (c *Config) rounds(ctx context.Context, measure string, some []*contestant) (err error) {
	lab, err := newLab(measure)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	turns := make([]*stats.Contestant[figures], len(some))
	for i, who := range some {
		turns[i] = &who.Contestant
	}
	once := func(i int) (*figures, error) { return c.once(ctx, lab, some[i]) }
	return stats.Rounds(ctx, c.Runs, turns, once, func(round, i int, f *figures, err error) {
		p := Progress{Measure: measure, Engine: some[i].engine.Name(), Round: round, Err: err}
		if f != nil {
			p.P50, p.P99 = time.Duration(f.P50), time.Duration(f.P99)
		}
		if c.Progress != nil {
			c.Progress(p)
		}
	})
}

// newLab is a veth pair with the kernel's defaults. Measures of sending have it drop in XDP what arrives, as the
// comparison of rates does.
func newLab(measure string) (*testenv.Lab, error) {
	t := testenv.Topology{
		A: testenv.End{MAC: net.HardwareAddr{0x02, 0, 0, 0, 0x0a, 0x01}}, B: testenv.End{MAC: net.HardwareAddr{0x02, 0, 0, 0, 0x0b, 0x01}},
		Neighbours: testenv.Static, NoIPv6: true, Offloads: true,
	}
	if measure != roundTrip {
		t.PeerXDP = testenv.XDPDrop
	}
	return testenv.NewLab(t)
}

// once is one run.
func (c *Config) once(ctx context.Context, lab *testenv.Lab, who *contestant) (_ *figures, err error) {
	payload, _ := blast.PayloadOfFrame(true, c.Size) // checked
	t := task{
		Engine: who.engine.Name(), Measure: who.measure, Interface: lab.A.If.Name(), Payload: payload,
		Busy:  who.engine.busy,
		Local: netip.AddrPortFrom(lab.A.IPv4(), port), Peer: netip.AddrPortFrom(lab.B.IPv4(), port),
		Warmup: c.Warmup, Duration: c.Duration, Interval: c.Interval, BusyPoll: c.BusyPoll,
	}
	var parties []*proc.Process
	start := func(in proc.In, part string, t task) error {
		p, err := proc.StartChild(in, proc.Part(c.Child, part), &t)
		if err != nil {
			return err
		}
		parties = append(parties, p)
		return p.NextWithin(ctx, startTime, &event{})
	}
	defer func() {
		for _, p := range parties {
			if stopErr := p.Stop(proc.StopTime); err == nil {
				err = stopErr
			}
		}
	}()
	onMeasure, onEcho := -1, -1
	if who.measure == roundTrip {
		onMeasure, onEcho = place(c.CPUs, proc.CPUs())
		far := t
		far.Interface, far.Local, far.Peer = lab.B.If.Name(), t.Peer, t.Local
		if err := start(proc.On(onEcho, lab.B.NS.Do), PartEcho, far); err != nil {
			return nil, fmt.Errorf("echo: %w", err)
		}
	}
	if err := start(proc.On(onMeasure, lab.A.NS.Do), PartMeasure, t); err != nil {
		return nil, err
	}
	var pids []int
	for _, p := range parties {
		pids = append(pids, p.Pid())
	}
	begun, before := time.Now(), proc.UsageOf(pids)
	var done event
	if err := parties[len(parties)-1].NextWithin(ctx, c.Warmup+c.Duration+startTime, &done); err != nil {
		return nil, err
	}
	cpu, _ := proc.UsageOf(pids).Since(before)
	if done.Event != eventDone || done.Figures == nil || done.Figures.Samples == 0 {
		return nil, errors.New("nothing was measured")
	}
	return &figures{*done.Figures, float64(cpu) / float64(time.Since(begun))}, nil
}
