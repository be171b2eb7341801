// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/liveframes"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// preparedFlows is how many flows the engines frames and xdp send to each destination, from a port each.
const preparedFlows = 1000

// runs is a lane of an engine that sends until it is interrupted.
type runs struct {
	run   func() (blast.Result, error)
	calls func() uint64

	failed uint64
}

func (r *runs) burst() (int, error) {
	res, err := r.run()
	r.failed += res.Failed
	return int(res.Submitted), err
}

func (r *runs) syscalls() uint64 { return r.calls() }

// rigOf is the rig of such lanes.
func rigOf(list *[]*runs, closers *[]func() error) *rig {
	return &rig{
		granted: func() any { return nil },
		failed: func() (n uint64) {
			for _, r := range *list {
				n += r.failed
			}
			return n
		},
		close: func() (err error) {
			for _, c := range *closers {
				err = errors.Join(err, c())
			}
			return err
		},
	}
}

// openFrames sends prepared frames, numbered, of many flows, as blast --engine frames does.
func openFrames(ctx context.Context, j *job) (*rig, error) {
	var list []*runs
	var closers []func() error
	r := rigOf(&list, &closers)
	var queues []*xdp.Socket
	r.granted = func() any {
		var out []xdp.Granted
		for _, q := range queues {
			out = append(out, q.Granted())
		}
		return out
	}
	for i := range j.Queues {
		q, err := xdp.Open(xdp.Options{Ifname: j.Interface, Queue: uint32(i), Mode: xdp.ModeCopy, ChunkSize: 2048})
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		queues, closers = append(queues, q), append(closers, q.Close)
		p, err := j.plan()
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		maker, err := frames.NewMaker(p)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		one := &runs{
			run: func() (blast.Result, error) {
				return frames.Run(ctx, blast.Config{Batch: burst, Drain: drainTime}, q, maker)
			},
			calls: func() uint64 { return q.Counters().Kicks },
		}
		list, r.lanes = append(list, one), append(r.lanes, one)
	}
	return r, nil
}

// openXDP has the kernel make the same frames, as blast --engine xdp does.
func openXDP(ctx context.Context, j *job) (*rig, error) {
	var list []*runs
	var closers []func() error
	r := rigOf(&list, &closers)
	r.uncounted = true
	d := liveframes.Device{Name: j.Interface, Index: j.IfIndex}
	if err := liveframes.Check(d); err != nil {
		return nil, err
	}
	for i := range j.Queues {
		p, err := j.plan()
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		o := liveframes.Options{Device: d}
		if len(j.Pin) > 0 {
			o.CPUs = []int{j.Pin[i%len(j.Pin)]}
		}
		s, err := liveframes.Open(blast.Config{Batch: burst}, p, o)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		closers = append(closers, s.Close)
		one := &runs{run: func() (blast.Result, error) { return s.Run(ctx, nil) }, calls: func() uint64 { return 0 }}
		list, r.lanes = append(list, one), append(r.lanes, one)
	}
	return r, nil
}

// plan is the frames of the job: to its destinations, which have to be in a row and behind one MAC.
func (j *job) plan() (p frames.Plan, err error) {
	first, last := j.Targets[0], j.Targets[len(j.Targets)-1]
	for _, t := range j.Targets {
		if t.MAC != first.MAC || t.To.Port() != first.To.Port() {
			return p, fmt.Errorf("prepared frames go to one MAC and one port: not to %v (%v) and %v (%v)", first.To, first.MAC, t.To, t.MAC)
		}
	}
	clock, err := stamp.NewClock()
	if err != nil {
		return p, err
	}
	p = frames.Plan{
		Space: flows.Space{Ports: units.OnePort(first.To.Port()), Sources: preparedFlows}, Flows: preparedFlows * uint64(len(j.Targets)),
		Ports:   units.PortRange(sourcePort, sourcePort+preparedFlows-1),
		Header:  frame.Flow{SrcMAC: j.SrcMAC, DstMAC: first.MAC, DF: true},
		Payload: j.payload(), Sizes: []int{j.Payload}, Run: uint16(time.Now().UnixNano()), Clock: clock,
	}
	if j.Payload < stamp.Size {
		p.Stamp = blast.StampNone
	}
	if err := p.Space.Addresses.Set(first.To.Addr().String() + "-" + last.To.Addr().String()); err != nil {
		return p, err
	}
	if n := p.Space.Addresses.Len(); n != uint64(len(j.Targets)) {
		return p, fmt.Errorf("prepared frames go to addresses in a row: %v to %v are %d, not %d", first.To.Addr(), last.To.Addr(), n, len(j.Targets))
	}
	return p, p.Sources.Set(j.Source.String())
}
