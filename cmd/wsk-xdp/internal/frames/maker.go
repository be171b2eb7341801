// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// MaxFlows is how many flows there may be, and kept how many of them have their headers ready.
const (
	MaxFlows = 10_000_000
	kept     = 1 << 16
)

// Plan is what frames to make. The packets of a burst are of flows in turn.
type Plan struct {
	// Space are the flows, Flows how many of them are used; each has a source of Sources with a port of Ports.
	Space   flows.Space
	Flows   uint64
	Sources units.Addresses
	Ports   units.Ports
	// Random takes flows at random, from the space's seed, instead of in turn.
	Random bool
	// Header is what all flows have in common; its addresses and ports are not looked at.
	Header frame.Flow
	// Payload is that of the largest datagram, whose beginning the others have; Sizes are the payload sizes, in turn.
	Payload []byte
	Sizes   []int
	// Stamp is what is written over the beginning of the payload, of run Run, with times of Clock.
	Stamp blast.StampKind
	Run   uint16
	Clock stamp.Clock
}

// Maker makes frame after frame. It is for one goroutine, and allocates nothing per frame as long as the flows are few
// enough to be kept.
type Maker struct {
	p         Plan
	templates []frame.Template // of every flow, or none
	drawn     uint64           // flows taken at random
	flow      uint64
	size      int
	id        uint16
	numbers   *blast.Numbers
	tails     []frame.Sum // of what is behind the stamp, size by size
	stamped   int         // bytes of a stamp
}

// NewMaker prepares what it can.
func NewMaker(p Plan) (*Maker, error) {
	m := &Maker{p: p, flow: p.Flows - 1, stamped: p.Stamp.Size()}
	if p.Flows < 1 || p.Flows > MaxFlows || p.Flows > p.Space.Len() || len(p.Sizes) == 0 {
		return nil, fmt.Errorf("frames: %d flows of %d, %d sizes: nothing to make", p.Flows, p.Space.Len(), len(p.Sizes))
	}
	if _, err := m.p.Template(0); err != nil {
		return nil, err
	}
	if p.Flows <= kept {
		m.templates = make([]frame.Template, p.Flows)
		for n := range m.templates {
			var err error
			if m.templates[n], err = m.p.Template(uint64(n)); err != nil {
				return nil, err
			}
		}
	}
	m.numbers = blast.NewNumbers(p.Stamp, p.Run, p.Clock, p.Flows)
	for _, size := range p.Sizes {
		if size < m.stamped || size > len(p.Payload) {
			return nil, errors.New("frames: a payload without room for its stamp")
		}
		var sum frame.Sum
		sum.Add(p.Payload[m.stamped:size])
		m.tails = append(m.tails, sum)
	}
	return m, nil
}

// Template is the headers of flow n.
func (p *Plan) Template(n uint64) (frame.Template, error) {
	one := p.Space.At(n)
	f := p.Header
	sources := p.Sources.Len()
	f.Src = netip.AddrPortFrom(p.Sources.At(one.Source%sources), p.Ports.At(one.Source/sources%p.Ports.Len()))
	f.Dst = one.To
	return frame.NewTemplate(f)
}

// Largest is the longest frame, without FCS.
func (m *Maker) Largest() (int, error) {
	t, err := m.p.Template(0)
	return t.HeaderLen() + len(m.p.Payload), err
}

// Ready is whatever is wanted: there is no end of frames.
func (m *Maker) Ready(want uint64) (uint64, error) { return want, nil }

// Put writes the next frame into a chunk that holds the largest, and returns its length and how many bytes of it are
// payload. now is the time of stamps.
func (m *Maker) Put(chunk []byte, now time.Time) (length, payload int) {
	n := m.next()
	var t *frame.Template
	if m.templates != nil {
		t = &m.templates[n]
	} else {
		one, _ := m.p.Template(n) // like that of the first, which was well
		t = &one
	}
	size := m.p.Sizes[m.size]
	sum := frame.Sum{}
	at := t.HeaderLen()
	body := chunk[at : at+size]
	copy(body[m.stamped:], m.p.Payload[m.stamped:size])
	if m.stamped > 0 {
		m.numbers.Put(body, n, now)
		sum.Add(body[:m.stamped])
	}
	sum.Append(m.tails[m.size])
	if m.size++; m.size == len(m.p.Sizes) {
		m.size = 0
	}
	m.id++
	return t.PutHeaders(chunk, size, m.id, sum), size
}

func (m *Maker) next() uint64 {
	if m.p.Random {
		m.drawn++
		return flows.Draw(m.p.Space.Seed, m.drawn-1, m.p.Flows)
	}
	if m.flow++; m.flow == m.p.Flows {
		m.flow = 0
	}
	return m.flow
}

// Sent is how many numbers were given out to each stream, nil where there are none.
func (m *Maker) Sent() []uint64 { return m.numbers.Sent() }
