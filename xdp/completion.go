// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

// CompletionRing returns the addresses of TX chunks that the kernel is done with. One goroutine at a time uses it.
//
// The kernel wakes nobody for this ring: look at it on each send, and by a timer. Addresses come back in any order, and
// after an invalid descriptor or a metadata error some kernels give addresses that are foreign, or the same one twice.
// So find the chunk of each with [UMEM.Index], and believe it only where a table of your own says that a frame which
// starts at exactly this address is on its way. [UMEM.CheckTx] is no substitute: it knows no frame that starts
// elsewhere than at [UMEM.Addr], as frames with headers of different lengths do, and nothing of what is on its way.
type CompletionRing struct {
	consumer
	addrs []uint64
}

// NewCompletionRing makes a completion ring over the given memory, going on from the cursors found there. The number
// of entries is a power of two; anything else panics. The memory must outlive the ring.
func NewCompletionRing(w Words, addrs []uint64) *CompletionRing {
	return &CompletionRing{consumer: newConsumer(w, len(addrs)), addrs: addrs}
}

// Size is the number of entries.
func (r *CompletionRing) Size() int { return len(r.addrs) }

// Peek returns the index of the oldest entry and how many there are, at most limit. It takes nothing: until Release the
// next Peek shows the same entries again.
func (r *CompletionRing) Peek(limit uint32) (first, n uint32) { return r.peek(limit) }

// At is the chunk address in entry idx, in bytes from the start of the UMEM, exactly as the kernel wrote it.
func (r *CompletionRing) At(idx uint32) uint64 { return r.addrs[idx&r.mask] }

// Release hands the n oldest entries back to the kernel. While the ring is full the kernel sends nothing. Releasing
// more than was peeked panics.
func (r *CompletionRing) Release(n uint32) { r.release(n) }

func (r *CompletionRing) kill() { r.consumer.kill(); r.addrs = make([]uint64, 1) }
