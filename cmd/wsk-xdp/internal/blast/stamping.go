// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// StampKind is what is written at the beginning of each payload. It implements pflag.Value.
type StampKind uint8

// The kinds: ours, that of the kernel's generator, and nothing.
const (
	StampWSK StampKind = iota
	StampPktgen
	StampNone
)

var stampNames = [...]string{StampWSK: "wsk", StampPktgen: "pktgen", StampNone: "none"}

// String is the word on the command line.
func (k StampKind) String() string { return stampNames[k] }

// Type names the form in help texts.
func (k *StampKind) Type() string { return "wsk|pktgen|none" }

// Set parses the word.
func (k *StampKind) Set(s string) error {
	for i, name := range stampNames {
		if s == name {
			*k = StampKind(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of wsk, pktgen, none", s)
}

// Size is how many bytes a stamp takes.
func (k StampKind) Size() int {
	switch k {
	case StampWSK:
		return stamp.Size
	case StampPktgen:
		return stamp.PktgenSize
	}
	return 0
}

// stamping numbers datagrams. It is the sender's.
type stamping struct {
	kind  StampKind
	run   uint16
	clock stamp.Clock
	sent  []uint64 // numbers given out, stream by stream
	tail  *wsk.MDL // what is behind a stamp in the payload, nil where nothing is
	size  int      // of a stamp
	batch int
}

// newStamping numbers datagrams of so many flows, in bursts of up to batch.
func newStamping(kind StampKind, run uint16, clock stamp.Clock, flows int, payload []byte, batch int) *stamping {
	n := kind.Size()
	s := &stamping{kind: kind, run: run, clock: clock, size: n, batch: batch, sent: make([]uint64, min(flows, stamp.Streams))}
	if len(payload) > n {
		s.tail = wsk.AllocateMDL(payload[n:])
	}
	return s
}

// burst stamps the datagrams of a slot, which has memory of its own for stamps until its IRP completes. What the slot has
// is made once.
func (s *stamping) burst(sl *slot, flow int, burst []wsk.BufList) {
	if sl.stamps == nil {
		sl.stamps, sl.mdls = make([]byte, s.batch*s.size), make([]wsk.MDL, s.batch)
		for i := range sl.mdls {
			sl.mdls[i].Init(sl.stamps[i*s.size : (i+1)*s.size])
			sl.mdls[i].Next = s.tail
		}
	}
	stream := flow % len(s.sent)
	number := s.sent[stream]
	s.sent[stream] += uint64(len(burst))
	one := stamp.Stamp{Run: s.run, Stream: uint16(stream), Sequence: number & stamp.Mask, Time: s.clock.At(sl.start)}
	for i := range burst {
		b := sl.stamps[i*s.size:]
		if s.kind == StampWSK {
			one.Put(b)
			one.Sequence = (one.Sequence + 1) & stamp.Mask
		} else {
			stamp.PutPktgen(b, uint32(number)+uint32(i), sl.start.Unix(), sl.start.Nanosecond()/int(time.Microsecond))
		}
		burst[i].Buffer.Mdl = &sl.mdls[i]
	}
}
