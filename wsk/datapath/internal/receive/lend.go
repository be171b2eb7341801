// SPDX-License-Identifier: Apache-2.0

package receive

import "github.com/wsk-xdp/wsk-xdp/wsk"

// Release implements wsk.Lender: the chunk goes back to the fill ring, or, after the socket was closed, the memory of
// the UMEM with the last of them. Any goroutine, at any time.
func (r *receiver) Release(d *wsk.Datagram) {
	i := d.Slot
	if r.slots[i].d != d {
		panic("receive: a datagram was released that is not lent")
	}
	d.Payload, d.Next = nil, nil
	r.giveBack(i)
}

// giveBack ends the loan of a chunk.
func (r *receiver) giveBack(i uint64) {
	slot := &r.slots[i]
	if !slot.lent.CompareAndSwap(true, false) {
		panic("receive: a datagram was released twice")
	}
	r.fillMu.Lock()
	r.lent--
	if r.closed {
		last := r.lent == 0
		r.fillMu.Unlock()
		if last {
			if err := r.sock.Close(); err != nil {
				r.queue.intake.Hub.Log.Warn("unmap the chunks of a closed socket", "err", err)
			}
		}
		return
	}
	r.back = append(r.back, slot.addr)
	wake := (r.asleep || len(r.back) >= fillBatch) && r.refillLocked()
	r.fillMu.Unlock()
	if wake {
		r.sock.WakeRX()
	}
}

// Keep implements wsk.Lender: when few chunks are left to the kernel, or the UMEM waits to be unmapped, the payload
// leaves it.
func (r *receiver) Keep(d *wsk.Datagram) {
	r.fillMu.Lock()
	move := r.closed || r.scarce(len(r.slots)-r.lent, keepShare) && !r.queue.intake.Hub.Buffers.Full()
	r.fillMu.Unlock()
	if !move {
		return
	}
	i := d.Slot
	r.slots[i].d = r.queue.intake.Hub.Buffers.Get(len(d.Payload)).moveIn(d)
	r.queue.stats.moved.Add(1)
	r.giveBack(i)
}
