// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Datagrams are what a Sender sends. The packets of one IRP belong to one flow, and each IRP to the next flow.
type Datagrams struct {
	Flows []Flow
	// Random takes flows at random, from this seed, instead of in turn.
	Random bool
	Seed   uint64
	// Control is the control data of each IRP.
	Control []byte
	// Payload is that of the largest datagram, whose beginning the others have. Nobody writes to it.
	Payload []byte
	// Sizes are the payload sizes of the datagrams, in turn; nil: all of Payload. None is smaller than a stamp.
	Sizes []int
	// Stamp is what is written over the beginning of the payload, of run Run, with times of Clock.
	Stamp StampKind
	Run   uint16
	Clock stamp.Clock
}

// Flow is where datagrams come from and go to.
type Flow struct {
	Socket *wsk.Socket
	Remote wsk.SOCKADDR
}

// Sender passes IRPs to sockets. All datagrams share one payload, and so one MDL; what is stamped has another before it.
type Sender struct {
	d      Datagrams
	list   []wsk.BufList // chained; a burst of n is its last n nodes, which are read during the call only
	order  *Order
	flow   int
	size   int       // the next of Sizes
	stamps *stamping // nil where there are none
}

// NewSender makes a sender of datagrams with this payload to one destination, from the sockets in turn, in bursts of up to
// batch.
func NewSender(sockets []*wsk.Socket, remote wsk.SOCKADDR, control, payload []byte, batch int) *Sender {
	d := Datagrams{Control: control, Payload: payload, Stamp: StampNone}
	for _, socket := range sockets {
		d.Flows = append(d.Flows, Flow{socket, remote})
	}
	return NewMixSender(d, batch)
}

// NewMixSender makes a sender of these datagrams, in bursts of up to batch.
func NewMixSender(d Datagrams, batch int) *Sender {
	s := &Sender{d: d, list: make([]wsk.BufList, batch), order: NewOrder(len(d.Flows), d.Random, d.Seed)}
	if d.Stamp != StampNone {
		s.stamps = newStamping(d.Stamp, d.Run, d.Clock, len(d.Flows), d.Payload, batch)
	}
	buf := wsk.Buf{Mdl: wsk.AllocateMDL(d.Payload), Length: uintptr(len(d.Payload))}
	for i := range s.list {
		s.list[i].Buffer = buf
		if i > 0 {
			s.list[i-1].Next = &s.list[i]
		}
	}
	return s
}

// send passes n datagrams with the IRP of the slot: WskSendTo for one, WskSendMessages for more.
func (s *Sender) send(sl *slot, n int) {
	f := s.nextFlow()
	burst := s.list[len(s.list)-n:]
	sl.bytes = uint64(n * len(s.d.Payload))
	if len(s.d.Sizes) > 0 {
		sl.bytes = s.lengths(burst)
	}
	if s.stamps != nil {
		s.stamps.burst(sl, s.flow, burst)
	}
	if n == 1 {
		f.Socket.SendTo(&burst[0].Buffer, 0, f.Remote, s.d.Control, &sl.irp)
		return
	}
	f.Socket.SendMessages(&burst[0], 0, f.Remote, s.d.Control, &sl.irp)
}

// Sent is how many numbers were given out to each stream, nil where datagrams have no stamps.
func (s *Sender) Sent() []uint64 {
	if s.stamps == nil {
		return nil
	}
	return s.stamps.sent
}

func (s *Sender) nextFlow() *Flow {
	s.flow = s.order.Next()
	return &s.d.Flows[s.flow]
}

// lengths gives the datagrams of a burst their sizes, and returns the sum.
func (s *Sender) lengths(burst []wsk.BufList) (sum uint64) {
	for i := range burst {
		n := s.d.Sizes[s.size]
		if s.size++; s.size == len(s.d.Sizes) {
			s.size = 0
		}
		burst[i].Buffer.Length = uintptr(n)
		sum += uint64(n)
	}
	return sum
}
