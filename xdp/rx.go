// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

// RxRing is the ring of received frames. One goroutine at a time uses it. A descriptor is the kernel's word for where a
// stranger's bytes are: turn it into bytes with [UMEM.Frame], which checks it.
type RxRing struct {
	consumer
	descs []Desc
}

// NewRxRing makes an RX ring over the given memory, going on from the cursors found there. The number of descriptors
// is a power of two; anything else panics. The memory must outlive the ring.
func NewRxRing(w Words, descs []Desc) *RxRing {
	return &RxRing{consumer: newConsumer(w, len(descs)), descs: descs}
}

// Size is the number of descriptors.
func (r *RxRing) Size() int { return len(r.descs) }

// Peek returns the index of the oldest frame and how many there are, at most limit. It takes nothing: until Release the
// next Peek shows the same frames again.
func (r *RxRing) Peek(limit uint32) (first, n uint32) { return r.peek(limit) }

// At is the descriptor of a frame.
func (r *RxRing) At(idx uint32) Desc { return r.descs[idx&r.mask] }

// Release hands the n oldest descriptors back to the kernel. The chunks stay the caller's until they are put into the
// fill ring. Releasing more than was peeked panics.
func (r *RxRing) Release(n uint32) { r.release(n) }

// NeedWakeup reports whether the kernel asks for a wake-up of the receive side.
func (r *RxRing) NeedWakeup() bool { return r.needWakeup() }

func (r *RxRing) kill() { r.consumer.kill(); r.descs = make([]Desc, 1) }
