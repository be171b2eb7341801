// SPDX-License-Identifier: Apache-2.0

// Package preview makes the first packets of a run of blast before the run, to be looked at or written to a file. It opens
// no socket.
//
// Engines that prepare frames make them here as they will: by a frames.Maker. Datagrams of sockets become frames in the
// datapath or in the kernel; here they are made like these: in the same order of flows, with the same headers and payload
// and the same fragments, though what others decide at the time is open: a free port is 0, and so is a flow label.
package preview

import (
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// Plan is what packets to make.
type Plan struct {
	frames.Plan
	// Datagrams says that sockets send: Batch packets of a flow in a row, in fragments where one is above the MTU.
	Datagrams bool
	Batch     int
	MTU       int
	// Bound are the addresses of the sockets; Sources and Ports are not looked at then.
	Bound []netip.AddrPort
}

// template is the headers of flow n.
func (p *Plan) template(n uint64) (frame.Template, error) {
	if !p.Datagrams {
		return p.Template(n)
	}
	one, f := p.Space.At(n), p.Header
	f.Src, f.Dst = p.Bound[one.Source], one.To
	return frame.NewTemplate(f)
}

// Maker makes packet after packet.
type Maker struct {
	p        Plan
	prepared *frames.Maker // nil: datagrams of sockets
	chunk    []byte
	order    *blast.Order
	numbers  *blast.Numbers
	flow     uint64
	left     int // packets of the flow
	size     int
	id       uint32
}

// NewMaker prepares a run.
func NewMaker(p Plan) (m *Maker, err error) {
	m = &Maker{p: p}
	if !p.Datagrams {
		if m.prepared, err = frames.NewMaker(p.Plan); err != nil {
			return nil, err
		}
		most, err := m.prepared.Largest()
		m.chunk = make([]byte, most)
		return m, err
	}
	m.order = blast.NewOrder(int(p.Flows), p.Random, p.Space.Seed)
	m.numbers = blast.NewNumbers(p.Stamp, p.Run, p.Clock, p.Flows)
	m.chunk = append(m.chunk, p.Payload...)
	_, err = p.template(0)
	return m, err
}

// Next is the next packet: a frame without FCS, or several for one in fragments. now is the time of its stamp. What it
// returns is good until the next call.
func (m *Maker) Next(now time.Time) ([][]byte, error) {
	if m.prepared != nil {
		n, _ := m.prepared.Put(m.chunk, now)
		return [][]byte{m.chunk[:n]}, nil
	}
	if m.left == 0 {
		m.flow, m.left = uint64(m.order.Next()), m.p.Batch
	}
	m.left--
	t, err := m.p.template(m.flow)
	if err != nil {
		return nil, err
	}
	payload := m.chunk[:m.p.Sizes[m.size]]
	if m.size++; m.size == len(m.p.Sizes) {
		m.size = 0
	}
	m.numbers.Put(payload, m.flow, now)
	cut, err := t.PlanFragments(len(payload), m.p.MTU)
	if err != nil {
		return nil, err
	}
	var sum frame.Sum
	sum.Add(payload)
	m.id++
	out := make([][]byte, cut.Count())
	for i := range out {
		part := cut.At(i)
		b := make([]byte, part.FrameLen())
		copy(b[part.HeaderLen:], payload[part.PayloadOffset:][:part.PayloadLen])
		out[i] = b[:t.PutFragment(b, cut, i, m.id, sum)]
	}
	return out, nil
}

// Each makes the first n packets and hands on their frames, with the times at which they are due: as after says behind
// the first, which is due at first.
func (p *Plan) Each(n uint64, after func(packet uint64) time.Duration, first time.Time, take func(packet uint64, frame []byte, at time.Duration) error) error {
	m, err := NewMaker(*p)
	if err != nil {
		return err
	}
	for i := range n {
		at := after(i)
		frames, err := m.Next(first.Add(at))
		if err != nil {
			return err
		}
		for _, f := range frames {
			if err := take(i, f, at); err != nil {
				return err
			}
		}
	}
	return nil
}
