// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

// FillRing gives the kernel chunks to receive into. One goroutine at a time uses it.
type FillRing struct {
	producer
	addrs []uint64
}

// NewFillRing makes a fill ring over the given memory, going on from the cursors found there. The number of entries
// is a power of two; anything else panics. The memory must outlive the ring.
func NewFillRing(w Words, addrs []uint64) *FillRing {
	r := &FillRing{addrs: addrs}
	r.init(w, len(addrs), len(addrs))
	return r
}

// Size is the number of entries, all of which can be used.
func (r *FillRing) Size() int { return len(r.addrs) }

// Free is the number of entries that Reserve would grant now.
func (r *FillRing) Free() uint32 { return r.refresh() }

// Reserve takes up to n entries and returns the index of the first and how many there are, perhaps 0.
func (r *FillRing) Reserve(n uint32) (first, granted uint32) { return r.reserve(n) }

// Set writes the address of a chunk into a reserved entry; the kernel ignores the offset in the chunk.
func (r *FillRing) Set(idx uint32, addr uint64) { r.addrs[idx&r.mask] = addr }

// Submit publishes the n oldest reserved entries; their chunks belong to the kernel from here on. Submitting more
// than was reserved panics.
func (r *FillRing) Submit(n uint32) { r.submit(n) }

// Cancel gives back the n youngest reserved entries that were not submitted. More than that panics.
func (r *FillRing) Cancel(n uint32) { r.cancel(n) }

// Pending is the number of chunks that wait in the ring.
func (r *FillRing) Pending() uint32 { return r.pending() }

// NeedWakeup reports whether the driver has run dry and waits for [Socket.WakeRX] after new chunks were submitted.
func (r *FillRing) NeedWakeup() bool { return r.needWakeup() }

func (r *FillRing) kill() { r.producer.kill(); r.addrs = make([]uint64, 1) }
