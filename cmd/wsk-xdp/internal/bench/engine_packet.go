// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/packetring"
)

// packetLane sends frames, built beforehand, through the memory-mapped ring of a packet socket that bypasses the
// queueing discipline (PACKET_TX_RING, TPACKET_V2, PACKET_QDISC_BYPASS).
type packetLane struct {
	ring   *packetring.Ring
	frames [][]byte
	rotor  rotor
	calls  uint64
}

func openPacket(_ context.Context, j *job) (*rig, error) {
	r := &rig{granted: func() any { return nil }}
	var rings []*packetring.Ring
	r.close = func() error {
		var errs []error
		for _, p := range rings {
			errs = append(errs, p.Close())
		}
		return errors.Join(errs...)
	}
	for i := range j.Queues {
		frames, err := j.frames(i)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		ring, err := packetring.Open(j.IfIndex, len(frames[0]))
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		rings = append(rings, ring)
		l := &packetLane{ring: ring, frames: frames, rotor: j.rotor()}
		for i := range packetring.Slots {
			copy(ring.Data(i), frames[0])
		}
		r.lanes = append(r.lanes, l)
	}
	return r, nil
}

func (l *packetLane) burst() (n int, err error) {
	for n < burst && l.ring.Free(l.ring.At()) {
		f := l.frames[0]
		if len(l.frames) > 1 {
			f = l.frames[l.rotor.next()]
			copy(l.ring.Data(l.ring.At()), f)
		}
		l.ring.Put(len(f))
		n++
	}
	l.calls++
	if err := l.ring.Kick(); err != nil && !later(err) {
		return n, fmt.Errorf("send ring: %w", err)
	}
	return n, l.ring.Refused(l.ring.At())
}

func (l *packetLane) syscalls() uint64 { return l.calls }
