// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

// TxRing is the ring of frames to send. One goroutine at a time uses Reserve, Set, Submit, Cancel and Free (the
// caller's lock sees to that); Consumer, Producer, Pending, NeedWakeup and At may be called by another at the same
// time.
//
// A TxRing never holds more than Size−1 entries. That keeps the slot in front of the consumer from being written
// again, so that after a Kick which returned EBUSY At(Consumer()−1) still is the descriptor that the device
// dropped. Its completion is in the completion ring by then; see Completed for when that must be looked at first.
type TxRing struct {
	producer
	descs []Desc
}

// NewTxRing makes a TX ring over the given memory, going on from the cursors found there. The number of descriptors is
// a power of two, at least 2; anything else panics. The memory must outlive the ring.
func NewTxRing(w Words, descs []Desc) *TxRing {
	r := &TxRing{descs: descs}
	r.init(w, len(descs), len(descs)-1)
	return r
}

// Size is the number of slots. One of them always stays unused.
func (r *TxRing) Size() int { return len(r.descs) }

// Free is the number of slots that Reserve would grant now.
func (r *TxRing) Free() uint32 { return r.refresh() }

// Reserve takes up to n slots and returns the index of the first and how many there are, perhaps 0. Indexes are
// free-running: the i-th slot is first+i, with wrap-around.
func (r *TxRing) Reserve(n uint32) (first, granted uint32) { return r.reserve(n) }

// Set writes the descriptor of a reserved slot.
func (r *TxRing) Set(idx uint32, d Desc) { r.descs[idx&r.mask] = d }

// Put is Reserve and Set for one slot, whose index it returns. It reports false when there is none.
func (r *TxRing) Put(d Desc) (idx uint32, ok bool) {
	idx = r.next
	if idx-r.seen >= r.limit && r.refresh() == 0 {
		return 0, false
	}
	r.next = idx + 1
	r.descs[idx&r.mask] = d
	return idx, true
}

// Submit publishes the n oldest reserved slots; their chunks belong to the kernel from here on. Submitting more than
// was reserved panics.
func (r *TxRing) Submit(n uint32) { r.submit(n) }

// Cancel gives back the n youngest reserved slots that were not submitted. More than that panics.
func (r *TxRing) Cancel(n uint32) { r.cancel(n) }

// Producer is the index after the last submitted descriptor.
func (r *TxRing) Producer() uint32 { return r.words.Producer.Load() }

// Consumer is the index of the first descriptor that the kernel has not consumed, as far as the kernel shows it. Linux
// 5.10 to 6.16 publish their cursor only when they have consumed all that they saw when they last looked; 6.18.15 does
// not after a Kick whose first frame was dropped. Consumer then lags behind until it is put right by Completed.
func (r *TxRing) Consumer() uint32 { return r.consumer() }

// Completed says that the descriptor at idx has come back through the completion ring. That one was consumed, then, and
// all before it: Consumer and Pending count them as consumed and their slots are free, even if the kernel has not said
// so. Call it before a chunk that has come back goes into the ring again, or the ring is full on some kernels. The
// rules are those of Reserve: one goroutine at a time. An index that is not in the ring is ignored.
func (r *TxRing) Completed(idx uint32) { r.raise(idx + 1) }

// Pending is the number of submitted descriptors that the kernel has not consumed. It may be too large while another
// goroutine submits, never too small.
func (r *TxRing) Pending() uint32 { return r.pending() }

// At is the descriptor in a slot. Index Consumer()−1 is the last one consumed, as long as no Kick runs. The value
// is what this side once wrote; the kernel does not write to this ring.
func (r *TxRing) At(idx uint32) Desc { return r.descs[idx&r.mask] }

// NeedWakeup reports whether the kernel asks for a Kick before it goes on. It means something only for a socket bound
// with need-wakeup; see [Socket.KickIfNeeded].
func (r *TxRing) NeedWakeup() bool { return r.needWakeup() }

func (r *TxRing) kill() { r.producer.kill(); r.descs = make([]Desc, 1) }
