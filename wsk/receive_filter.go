// SPDX-License-Identifier: Apache-2.0

package wsk

import "sync/atomic"

// accept takes out of a list what the socket does not want, and cuts up what came coalesced for a socket that did not
// ask for that. The receiver's mutex is held.
func (s *Socket) accept(sn *snapshot, list *Datagram, dropped **Datagram) (kept *Datagram) {
	end := &kept
	for d := list; d != nil; {
		next := d.Next
		d.Next = nil
		switch {
		case !s.wants(sn, d):
			count := &s.recv.stats.Filtered
			if d.Err != nil {
				count = &s.recv.stats.Errors
			}
			*count += uint64(drop(d, dropped))
		case d.Segment != 0 && sn.maxCoalesced == 0:
			*end = cut(d)
			for *end != nil {
				end = &(*end).Next
			}
		default:
			*end = d
			end = &d.Next
		}
		d = next
	}
	return kept
}

// wants is what the options say about a datagram. An error counts as from the destination that it concerns.
func (s *Socket) wants(sn *snapshot, d *Datagram) bool {
	is4 := d.Source.is4()
	if sn.family == AF_INET && !is4 || sn.family == AF_INET6 && is4 && sn.v6Only {
		return false
	}
	ip := &sn.ip6
	if is4 {
		ip = &sn.ip4
	}
	if d.Err != nil && ip.receive&wantErrors == 0 {
		return false
	}
	if sn.fixedRemote.order != 0 && !sn.fixedRemote.matches(&d.Source) {
		return false
	}
	switch d.Cast {
	case Broadcast:
		return !sn.noBroadcast
	case Multicast:
		return !ip.noLoop || !s.provider.addresses.has(&d.Source)
	}
	return true
}

// matches compares a fixed address with a sender: address, port and, where both know one, the scope.
func (r *remote) matches(a *Address) bool {
	var addr [16]byte
	r.Store(&addr)
	return addr == a.Addr && r.port == a.Port && (r.scope == 0 || a.Scope == 0 || r.scope == a.Scope)
}

// segments lends the pieces of one coalesced datagram.
type segments struct {
	whole *Datagram
	left  atomic.Int32
}

// cut makes single datagrams of a coalesced one, linked by Next. It is for the moments around the switching off of
// UDP_RECV_MAX_COALESCED_SIZE, so it may allocate.
func cut(d *Datagram) (list *Datagram) {
	size := int(d.Segment)
	n := max((len(d.Payload)+size-1)/size, 1)
	pieces := make([]Datagram, n)
	lender := &segments{whole: d}
	lender.left.Store(int32(n))
	for i := range pieces {
		pieces[i] = *d
		p := &pieces[i]
		p.Payload = d.Payload[min(i*size, len(d.Payload)):min((i+1)*size, len(d.Payload))]
		p.Segment, p.Lender, p.Slot, p.Next = 0, lender, 0, nil
		if i > 0 {
			pieces[i-1].Next = p
		}
	}
	return &pieces[0]
}

// Release implements Lender.
func (l *segments) Release(*Datagram) {
	if l.left.Add(-1) == 0 {
		l.whole.Release()
	}
}

// Keep implements Lender. The pieces point into the whole, which can't move any more.
func (l *segments) Keep(*Datagram) {}
