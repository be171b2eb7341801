// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// packetLane sends frames, built beforehand, through the memory-mapped ring of a packet socket that bypasses the
// queueing discipline (PACKET_TX_RING, TPACKET_V2, PACKET_QDISC_BYPASS).
type packetLane struct {
	ring   *packetRing
	frames [][]byte
	rotor  rotor
	calls  uint64
}

// The ring has slots for several bursts. A slot takes any Ethernet frame up to the usual MTU.
const (
	packetSlots    = 1024
	packetSlotLen  = 2048
	packetBlockLen = 64 << 10
)

func openPacket(_ context.Context, j *job) (*rig, error) {
	r := &rig{granted: func() any { return nil }}
	var rings []*packetRing
	r.close = func() error {
		var errs []error
		for _, p := range rings {
			errs = append(errs, p.close())
		}
		return errors.Join(errs...)
	}
	for i := range j.Queues {
		ring, err := newPacketRing(j.IfIndex)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		rings = append(rings, ring)
		l := &packetLane{ring: ring, rotor: j.rotor()}
		if l.frames, err = j.frames(i); err != nil {
			return nil, errors.Join(err, r.close())
		}
		for i := range packetSlots {
			if room := len(ring.data(i)); len(l.frames[0]) > room {
				return nil, errors.Join(fmt.Errorf("a frame of %d bytes does not fit a slot of %d", len(l.frames[0]), room), r.close())
			}
			copy(ring.data(i), l.frames[0])
		}
		r.lanes = append(r.lanes, l)
	}
	return r, nil
}

func (l *packetLane) burst() (n int, err error) {
	for n < burst && l.ring.free() {
		f := l.frames[0]
		if len(l.frames) > 1 {
			f = l.frames[l.rotor.next()]
			copy(l.ring.data(l.ring.at), f)
		}
		l.ring.put(len(f))
		n++
	}
	l.calls++
	if err := unix.Sendto(l.ring.fd, nil, unix.MSG_DONTWAIT, nil); err != nil && !later(err) {
		return n, fmt.Errorf("send ring: %w", err)
	}
	return n, l.ring.refused()
}

func (l *packetLane) syscalls() uint64 { return l.calls }
