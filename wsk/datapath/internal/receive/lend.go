// SPDX-License-Identifier: Apache-2.0

package receive

import "github.com/wsk-xdp/wsk-xdp/wsk"

// Release implements wsk.Lender: the chunk goes back to the fill ring, or, after the socket was closed, the memory of the
// UMEM with the last of them. Any goroutine, at any time.
func (s *Socket) Release(d *wsk.Datagram) {
	i := d.Slot
	if s.Slots[i].d != d {
		panic("receive: a datagram was released that is not lent")
	}
	d.Payload, d.Next = nil, nil
	s.giveBack(i)
}

// giveBack ends the loan of a chunk.
func (s *Socket) giveBack(i uint64) {
	slot := &s.Slots[i]
	if !slot.lent.CompareAndSwap(true, false) {
		panic("receive: a datagram was released twice")
	}
	s.FillMu.Lock()
	s.Lent--
	if s.Closed {
		last := s.Lent == 0
		s.FillMu.Unlock()
		if last {
			if err := s.Sock.Close(); err != nil {
				s.Queue.Intake.Hub.Log.Warn("unmap the chunks of a closed socket", "err", err)
			}
		}
		return
	}
	s.Back = append(s.Back, slot.addr)
	wake := (s.Idle || len(s.Back) >= FillBatch) && s.refillLocked()
	s.FillMu.Unlock()
	if wake {
		s.Sock.WakeRX()
	}
}

// Keep implements wsk.Lender: when few chunks are left to the kernel, or the UMEM waits to be unmapped, the payload leaves it.
func (s *Socket) Keep(d *wsk.Datagram) {
	s.FillMu.Lock()
	move := s.Closed || s.scarce(len(s.Slots)-s.Lent, keepShare)
	s.FillMu.Unlock()
	if !move {
		return
	}
	i := d.Slot
	s.Slots[i].d = s.Queue.Intake.Hub.Copies.Take(len(d.Payload)).adopt(d)
	s.Queue.stats.moved.Add(1)
	s.giveBack(i)
}
