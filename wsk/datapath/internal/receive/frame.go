// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// batch is what stays the same for a batch of frames. ringMu is held.
type batch struct {
	r       *receiver
	id      *identity
	stats   *counters
	copy    bool // chunks are scarce: deliver copies
	foreign int
}

// take sorts one descriptor. Everything the program checked is checked again: the frame lies in memory of our own now, but
// it came from a stranger, and bindings may have changed since it was redirected (I10, I12).
func (b *batch) take(desc xdp.Desc) {
	r := b.r
	i, bytes := b.claim(desc)
	if r.parts.begun || desc.Options&xdp.DescContinued != 0 {
		b.takePart(i, bytes, desc.Options&xdp.DescContinued != 0)
		return
	}
	b.stats.frames++
	if bytes == nil {
		b.stats.foreign++
		return
	}
	d := r.slots[i].d
	port, to, ok := b.read(bytes, d)
	if !ok {
		b.drop(i)
		return
	}
	d.Lender, d.Slot = r, uint64(i)
	b.dispatch(d, i, port, to)
}

// claim is the chunk that a descriptor names, which is lent from here on, and the bytes in it; nil where it names none.
func (b *batch) claim(desc xdp.Desc) (i int, bytes []byte) {
	r := b.r
	chunk, ok := r.umem.Index(desc.Addr)
	i = chunk - r.base
	if !ok || i < 0 || i >= len(r.slots) || !r.slots[i].lent.CompareAndSwap(false, true) {
		b.foreign++
		return -1, nil
	}
	if bytes = r.umem.Frame(desc); bytes == nil {
		b.drop(i)
	}
	return i, bytes
}

// takePart takes one of the chunks of a frame.
func (b *batch) takePart(i int, bytes []byte, more bool) {
	r := b.r
	r.parts.add(&r.queue.intake.Hub.Buffers, bytes)
	if bytes != nil {
		b.drop(i)
	}
	if more {
		return
	}
	b.stats.frames++
	b.stats.several++
	buf, n, why := r.parts.end()
	switch why {
	case flawForeign, flawSpliced:
		b.stats.foreign++
		return
	case flawNoRoom:
		b.stats.exhausted++
		return
	}
	var got wsk.Datagram
	port, to, ok := b.read(buf.Bytes[:n:n], &got)
	if !ok {
		buf.putBack()
		return
	}
	d := buf.Datagram(n)
	got.Lender, got.Memory = d.Lender, d.Memory
	*d = got
	b.dispatch(d, inBuffer, port, to)
}

// read makes a datagram of a frame, or counts why it can't be delivered. The lender is for the caller to fill in.
func (b *batch) read(bytes []byte, d *wsk.Datagram) (port uint16, to frame.MAC, ok bool) {
	p, reason := frame.Parse(bytes)
	if reason == frame.ReasonOK {
		reason = frame.VerifyChecksums(bytes, &p)
	}
	switch {
	case reason == frame.ReasonOK:
	case reason == frame.ReasonUDPPartialChecksum && b.id.partial:
		b.stats.partial++
	default:
		b.stats.reasons[reason]++
		return 0, to, false
	}
	ifindex, mine := b.id.arrivedOn(&p)
	if !mine {
		b.stats.otherHost++
		return 0, to, false
	}
	*d = wsk.Datagram{
		Payload: p.Payload(bytes), Source: WireAddress(p.Src, ifindex), Destination: p.Dst.Addr().As16(),
		IfIndex: ifindex, TTL: p.TTL, TOS: p.TOS,
	}
	return p.Dst.Port(), p.DstMAC, true
}

// inBuffer stands for the chunk of a datagram that is in none.
const inBuffer = -1

// dispatch gives a datagram to whom it is for: the first gets the chunk or the buffer that it is in, others copies.
func (b *batch) dispatch(d *wsk.Datagram, i int, port uint16, to frame.MAC) {
	r := b.r
	t := r.queue.intake.Hub.ports.find(port)
	used := false
	give := func(to *Sink) {
		given := d
		switch buffers := &r.queue.intake.Hub.Buffers; {
		case !used && (i == inBuffer || !b.copy):
			used = true
		case buffers.Full():
			b.stats.exhausted++
			return
		default:
			if !used {
				b.stats.scarce++
			}
			given = buffers.CopyOf(d)
		}
		b.stats.delivered++
		r.out.Add(to, given)
	}
	d.Cast = b.id.castOf(&d.Destination)
	if b.refuses(d) || d.Cast == wsk.Unicast && to.IsGroup() && b.dropsLinkGroups(d) {
		b.stats.refused++
		b.takeBack(d, i)
		return
	}
	switch d.Cast {
	case wsk.Unicast:
		if to.IsBroadcast() {
			d.Cast = wsk.Broadcast
		}
		if owner := t.unicast(&d.Destination, d.IfIndex); owner != nil {
			give(owner)
		} else {
			b.stats.unowned++
		}
	case wsk.Broadcast:
		if t.broadcast(&d.Destination, give) == 0 {
			b.stats.unowned++
		}
	case wsk.Multicast:
		if t.multicast(d, give) == 0 {
			b.stats.notJoined++
		}
	}
	if !used {
		b.takeBack(d, i)
	}
}

// takeBack ends the look at a datagram that nobody gets.
func (b *batch) takeBack(d *wsk.Datagram, i int) {
	if i == inBuffer {
		d.Release()
		return
	}
	b.drop(i)
}

// refuses reports whether the host takes nothing from the source of a datagram on its interface.
func (b *batch) refuses(d *wsk.Datagram) bool {
	if !b.id.checksSources || !ipaddr.Is4(&d.Destination) {
		return false // IPv6 has no such check; what can be no source there the program leaves to the kernel
	}
	r := b.r
	if r.sources == nil {
		r.sources = new(sources)
	}
	q := sourceQuestion{src: [4]byte(d.Source.Addr[12:]), dst: [4]byte(d.Destination[12:]), ifindex: d.IfIndex, tos: d.TOS}
	return !r.sources.accepts(r.queue.intake.Hub.Rules, q)
}

// dropsLinkGroups reports whether the host takes no unicast datagram that comes in a frame to a group.
func (b *batch) dropsLinkGroups(d *wsk.Datagram) bool {
	rules := b.r.queue.intake.Hub.Rules
	return rules != nil && b.r.linkGroups.drops(rules, d.IfIndex, ipaddr.Is4(&d.Destination))
}

// drop ends the look at a chunk that nobody gets.
func (b *batch) drop(i int) {
	slot := &b.r.slots[i]
	slot.d.Payload = nil
	slot.lent.Store(false)
	b.r.dropped = append(b.r.dropped, slot.addr)
}

// broadcast calls give for each sink that a broadcast is for: those bound to any address and those bound to the
// broadcast address itself, as in the kernel. It returns how many there were.
func (t *portTable) broadcast(dst *[16]byte, give func(*Sink)) (n int) {
	if t == nil {
		return 0
	}
	for i := range t.sockets {
		if b := &t.sockets[i]; b.matches(dst, 0) {
			give(b.sink)
			n++
		}
	}
	return n
}

// multicast calls give for each sink that has joined the group on the interface that a datagram came in on, and wants the source.
func (t *portTable) multicast(d *wsk.Datagram, give func(*Sink)) (n int) {
	if t == nil {
		return 0
	}
	for i := range t.members {
		m := &t.members[i]
		if m.group == d.Destination && m.ifindex == d.IfIndex && m.filter.allows(&d.Source.Addr) {
			give(m.sink)
			n++
		}
	}
	return n
}
