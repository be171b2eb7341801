// SPDX-License-Identifier: Apache-2.0

package packetring

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
)

// Source is where frames come from.
type Source interface {
	// Put writes the next frame into a slot, and returns its length and how many bytes of it are payload.
	Put(slot []byte, now time.Time) (length, payload int)
}

// Lane is a blast.Lane over a ring. A frame is completed when the kernel gives its slot back.
type Lane struct {
	ring   *Ring
	source Source
	sizes  [Slots]int // payload in the slots
	first  int        // the oldest slot that the kernel has
	out    int        // how many it has
}

// NewLane sends the frames of a source, from the slot on that is filled next. The kernel has none of the ring.
func NewLane(r *Ring, s Source) *Lane { return &Lane{ring: r, source: s, first: r.At()} }

// Send puts up to n frames into the ring, has the kernel send, and takes back what it is done with. What a device drops for
// want of room, or can't take while it is down, stays in the ring and goes with a later call.
func (l *Lane) Send(n uint64, now time.Time) (out blast.Outcome, err error) {
	for out.Submitted < n && l.out < Slots {
		slot := l.ring.At()
		length, payload := l.source.Put(l.ring.Data(slot), now)
		l.sizes[slot] = payload
		l.ring.Put(length)
		l.out++
		out.Submitted++
	}
	switch err := l.ring.Kick(); {
	case err == nil:
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
		out.Full = true
	default:
		return out, fmt.Errorf("the kernel sends nothing more: %w", err)
	}
	for l.out > 0 && l.ring.Free(l.first) {
		out.Completed++
		out.Payload += uint64(l.sizes[l.first])
		l.first = (l.first + 1) % Slots
		l.out--
	}
	out.Full = out.Full || l.out == Slots
	if l.out == 0 {
		return out, nil
	}
	return out, l.ring.Refused(l.first)
}

// InFlight is how many frames the kernel has.
func (l *Lane) InFlight() int { return l.out }
