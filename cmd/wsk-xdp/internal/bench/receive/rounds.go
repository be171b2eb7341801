// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Progress is a run that has just ended.
type Progress struct {
	Rate, Round int
	Engine      string
	PPS         float64
	Err         error
}

// Names of the parts that a child is started as. The sender of ours is started as PartEngine.
const (
	PartReceive = "receive"
	PartSend    = "receive-send"
	PartEngine  = "engine"
)

// startTime bounds what has nothing to do with the measurement.
const startTime = 30 * time.Second

const (
	port       = 9000
	sourcePort = 1000
)

// contestant is an engine at one rate with its runs, nil for one that failed.
type contestant struct {
	stats.Contestant[figures]
	rate   int
	engine *engine
}

// Run measures. Engines that fail are left out of the further rounds and named in the error; the report has what there
// is, and is nil when that is nothing.
func Run(ctx context.Context, c Config) (_ *Report, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	lab, err := testenv.NewLab(testenv.Topology{Neighbours: testenv.Static, NoIPv6: true, Offloads: true, GRO: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	load := host.LoadAverage()
	var all []*contestant
	var errs []error
	for _, rate := range c.Rates {
		var some []*contestant
		for _, name := range c.Engines {
			who := &contestant{rate: rate, engine: find(name)}
			who.What = name
			some = append(some, who)
		}
		all = append(all, some...)
		if err := c.rounds(ctx, lab, some); err != nil {
			errs = append(errs, err)
			if ctx.Err() != nil {
				break
			}
		}
	}
	r := newReport(&c, all, load)
	return stats.OrNil(r, len(r.Receive), errors.Join(errs...))
}

func (c *Config) rounds(ctx context.Context, lab *testenv.Lab, some []*contestant) error {
	turns := make([]*stats.Contestant[figures], len(some))
	for i, who := range some {
		turns[i] = &who.Contestant
	}
	once := func(i int) (*figures, error) { return c.once(ctx, lab, some[i]) }
	return stats.Rounds(ctx, c.Runs, turns, once, func(round, i int, f *figures, err error) {
		p := Progress{Rate: some[i].rate, Engine: some[i].engine.Name(), Round: round, Err: err}
		if f != nil {
			p.PPS = f.pps
		}
		if c.Progress != nil {
			c.Progress(p)
		}
	})
}

// cpus are where sender and receiver run; negative: anywhere.
func (c *Config) cpus() (sender, receiver int) {
	if cpus := proc.CPUs(); !c.Unpinned && len(cpus) > 1 {
		return cpus[0], cpus[1]
	}
	return -1, -1
}

// once is one run.
func (c *Config) once(ctx context.Context, lab *testenv.Lab, who *contestant) (_ *figures, err error) {
	payload, _ := blast.PayloadOfFrame(true, c.Size) // checked
	to := netip.AddrPortFrom(lab.B.IPv4(), port)
	onSend, onReceive := c.cpus()
	counter, err := proc.NewCounter()
	if err != nil {
		return nil, err
	}
	defer counter.Close()
	r, err := c.start(ctx, proc.On(onReceive, lab.B.NS.Do), PartReceive, &task{
		Engine: who.engine.Name(), Interface: lab.B.If.Name(), Local: to, Payload: payload, Busy: who.engine.busy, BusyPoll: c.BusyPoll,
	}, counter.File())
	if err != nil {
		return nil, fmt.Errorf("receiver: %w", err)
	}
	defer func() { err = end(r, err) }()
	var s *proc.Process
	if c.Sender == senderXDP {
		s, err = c.start(ctx, proc.On(onSend, lab.A.NS.Do), PartSend, &offer{
			IfIndex: lab.A.If.Index(), SrcMAC: frame.MAC(lab.A.If.MAC()), DstMAC: frame.MAC(lab.B.If.MAC()),
			From: netip.AddrPortFrom(lab.A.IPv4(), sourcePort), To: to, Payload: payload, Rate: who.rate,
		})
	} else {
		s, err = bench.StartSender(proc.On(onSend, lab.A.NS.Do), proc.Part(c.Child, PartEngine), c.Sender, lab, to, payload)
	}
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	defer func() { err = end(s, err) }()
	return c.window(ctx, lab, s, r, counter)
}

// start starts a child and waits until it is ready.
func (c *Config) start(ctx context.Context, in proc.In, part string, task any, files ...*os.File) (*proc.Process, error) {
	p, err := proc.StartChild(in, proc.Part(c.Child, part), task, files...)
	if err != nil {
		return nil, err
	}
	if err := p.NextWithin(ctx, startTime, &event{}); err != nil {
		return nil, end(p, err)
	}
	return p, nil
}

// end stops a child and judges what it says; an earlier error goes before.
func end(p *proc.Process, earlier error) error {
	err := p.Stop(proc.StopTime)
	if earlier != nil {
		return earlier
	}
	if err != nil {
		return err
	}
	events := p.Events()
	var done event
	if len(events) < 2 || json.Unmarshal(events[len(events)-1], &done) != nil || done.Event != eventDone {
		return errors.New("a child ended without its report")
	}
	if done.Wrong > 0 {
		return fmt.Errorf("%d datagrams arrived that nobody sent", done.Wrong)
	}
	return nil
}
