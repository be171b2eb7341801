// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"math/rand/v2"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Order is in what order a sender of datagrams takes its flows.
type Order struct {
	flows, at int
	random    *rand.Rand // nil: in turn
}

// NewOrder is in turn, or at random from a seed.
func NewOrder(flows int, random bool, seed uint64) *Order {
	o := &Order{flows: flows, at: -1}
	if random {
		o.random = rand.New(rand.NewPCG(seed, 0))
	}
	return o
}

// Next is the number of the next flow.
func (o *Order) Next() int {
	if o.random != nil {
		o.at = o.random.IntN(o.flows)
	} else if o.at++; o.at == o.flows {
		o.at = 0
	}
	return o.at
}

// Numbers writes stamps, each with the next number of its stream.
type Numbers struct {
	kind  StampKind
	run   uint16
	clock stamp.Clock
	sent  []uint64 // numbers given out, stream by stream
}

// NewNumbers begins a run of so many flows.
func NewNumbers(kind StampKind, run uint16, clock stamp.Clock, flows uint64) *Numbers {
	return &Numbers{kind, run, clock, make([]uint64, min(flows, stamp.Streams))}
}

// Put writes the stamp of the next packet of a flow, if there are stamps, into the beginning of its payload.
func (n *Numbers) Put(payload []byte, flow uint64, now time.Time) {
	if n.kind == StampNone {
		return
	}
	stream := flow % uint64(len(n.sent))
	number := n.sent[stream]
	n.sent[stream]++
	if n.kind == StampWSK {
		stamp.Stamp{Run: n.run, Stream: uint16(stream), Sequence: number & stamp.Mask, Time: n.clock.At(now)}.Put(payload)
		return
	}
	stamp.PutPktgen(payload, uint32(number), now.Unix(), now.Nanosecond()/int(time.Microsecond))
}

// Back takes back the number of the packet of a flow that was numbered last: it was not sent.
func (n *Numbers) Back(flow uint64) {
	if n.kind != StampNone {
		n.sent[flow%uint64(len(n.sent))]--
	}
}

// Sent is how many numbers were given out to each stream, nil where there are none.
func (n *Numbers) Sent() []uint64 {
	if n.kind == StampNone {
		return nil
	}
	return n.sent
}
