// SPDX-License-Identifier: Apache-2.0

package datapath

import "github.com/wsk-xdp/wsk-xdp/wsk"

// Release implements wsk.Lender: the chunk goes back to the fill ring, or, after the socket was closed, the memory of the
// UMEM with the last of them. Any goroutine, at any time.
func (s *rxSocket) Release(d *wsk.Datagram) {
	i := d.Slot
	if s.slots[i].d != d {
		panic("datapath: a datagram was released that is not lent")
	}
	d.Payload, d.Next = nil, nil
	s.giveBack(i)
}

// giveBack ends the loan of a chunk.
func (s *rxSocket) giveBack(i uint64) {
	slot := &s.slots[i]
	if !slot.lent.CompareAndSwap(true, false) {
		panic("datapath: a datagram was released twice")
	}
	s.fillMu.Lock()
	s.lent--
	if s.closed {
		last := s.lent == 0
		s.fillMu.Unlock()
		if last {
			if err := s.sock.Close(); err != nil {
				s.r.in.hub.log.Warn("unmap the chunks of a closed socket", "err", err)
			}
		}
		return
	}
	s.back = append(s.back, slot.addr)
	wake := (s.idle || len(s.back) >= fillBatch) && s.refillLocked()
	s.fillMu.Unlock()
	if wake {
		s.sock.WakeRX()
	}
}

// Keep implements wsk.Lender: when few chunks are left to the kernel, or the UMEM waits to be unmapped, the payload leaves it.
func (s *rxSocket) Keep(d *wsk.Datagram) {
	s.fillMu.Lock()
	move := s.closed || s.scarce(len(s.slots)-s.lent, keepShare)
	s.fillMu.Unlock()
	if !move {
		return
	}
	i := d.Slot
	s.slots[i].d = s.r.in.hub.copies.take(len(d.Payload)).adopt(d)
	s.r.stats.moved.Add(1)
	s.giveBack(i)
}
