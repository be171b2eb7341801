// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// batch is what stays the same for a batch of frames. RingMu is held.
type batch struct {
	s        *Socket
	arrivals *arrivals
	stats    *counters
	copy     bool // chunks are scarce: deliver copies
	foreign  int
}

// take sorts one frame. Everything the program checked is checked again: the frame lies in memory of our own now, but
// it came from a stranger, and bindings may have changed since it was redirected (I10, I12).
func (b *batch) take(desc xdp.Desc) {
	s := b.s
	b.stats.frames++
	chunk, ok := s.umem.Index(desc.Addr)
	i := chunk - s.base
	if !ok || i < 0 || i >= len(s.Slots) || !s.Slots[i].lent.CompareAndSwap(false, true) {
		b.stats.foreign++
		b.foreign++
		return
	}
	d := s.Slots[i].d
	bytes := s.umem.Frame(desc)
	if bytes == nil {
		b.stats.foreign++
		b.drop(i)
		return
	}
	p, reason := frame.Parse(bytes)
	if reason == frame.ReasonOK {
		reason = frame.VerifyChecksums(bytes, &p)
	}
	switch {
	case reason == frame.ReasonOK:
	case reason == frame.ReasonUDPPartialChecksum && b.arrivals.Partial:
		b.stats.partial++
	default:
		b.stats.reasons[reason]++
		b.drop(i)
		return
	}
	ifindex, mine := b.arrivals.ArrivedOn(&p)
	if !mine {
		b.stats.otherHost++
		b.drop(i)
		return
	}
	*d = wsk.Datagram{
		Payload: p.Payload(bytes), Source: WireAddress(p.Src, ifindex), Destination: p.Dst.Addr().As16(),
		IfIndex: ifindex, TTL: p.TTL, TOS: p.TOS, Lender: s, Slot: uint64(i),
	}
	b.dispatch(d, i, p.Dst.Port(), p.DstMAC.IsBroadcast())
}

// dispatch gives a datagram to whom it is for: the first gets the chunk, others copies.
func (b *batch) dispatch(d *wsk.Datagram, i int, port uint16, linkBroadcast bool) {
	s := b.s
	t := s.Queue.Intake.Hub.Demux.Find(port)
	used, on := false, d.IfIndex
	give := func(to *Sink) {
		b.stats.delivered++
		given := d
		switch {
		case used:
			given = s.Queue.Intake.Hub.Copies.CopyOf(d)
		case b.copy:
			b.stats.scarce++
			given = s.Queue.Intake.Hub.Copies.CopyOf(d)
		default:
			used = true
		}
		if given.IfIndex != on {
			given.IfIndex = on
			if ipaddr.Load(&given.Source.Addr).IsLinkLocal6() {
				given.Source.Scope = on
			}
		}
		s.Out.Add(to, given)
	}
	d.Cast = b.arrivals.castOf(&d.Destination)
	switch d.Cast {
	case wsk.Unicast:
		if linkBroadcast {
			d.Cast = wsk.Broadcast
		}
		if to := t.Unicast(&d.Destination, d.IfIndex); to != nil {
			give(to)
		} else {
			b.stats.unowned++
		}
	case wsk.Broadcast:
		if t.broadcast(&d.Destination, give) == 0 {
			b.stats.unowned++
		}
	case wsk.Multicast:
		n := t.multicast(d, on, give)
		if on == b.arrivals.Index {
			for _, on = range b.arrivals.Flooded {
				n += t.multicast(d, on, give)
			}
		}
		if n == 0 {
			b.stats.notJoined++
		}
	}
	if !used {
		b.drop(i)
	}
}

// drop ends the look at a chunk that nobody gets.
func (b *batch) drop(i int) {
	slot := &b.s.Slots[i]
	slot.d.Payload = nil
	slot.lent.Store(false)
	b.s.dropped = append(b.s.dropped, slot.addr)
}

// broadcast calls give for each sink that a broadcast is for: those bound to any address and those bound to the
// broadcast address itself, as in the kernel. It returns how many there were.
func (t *PortTable) broadcast(dst *[16]byte, give func(*Sink)) (n int) {
	if t == nil {
		return 0
	}
	for i := range t.sockets {
		if b := &t.sockets[i]; b.matches(dst, 0) {
			give(b.Sink)
			n++
		}
	}
	return n
}

// multicast calls give for each sink that has joined the group on an interface and wants the source.
func (t *PortTable) multicast(d *wsk.Datagram, ifindex uint32, give func(*Sink)) (n int) {
	if t == nil {
		return 0
	}
	for i := range t.members {
		m := &t.members[i]
		if m.group == d.Destination && m.ifindex == ifindex && m.filter.allows(&d.Source.Addr) {
			give(m.sink)
			n++
		}
	}
	return n
}
