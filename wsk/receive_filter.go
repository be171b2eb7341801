// SPDX-License-Identifier: Apache-2.0

package wsk

import "sync/atomic"

// accept takes what the socket does not want out of a list, and cuts up coalesced datagrams for a socket that did not
// ask for such. The receiver's mutex is held.
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

// wants reports whether the options let a datagram in. An error counts as coming from the destination that it concerns.
func (s *Socket) wants(sn *snapshot, d *Datagram) bool {
	is4 := d.is4()
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

// matches compares a fixed address with a sender: address, port and, if both have one, the scope.
func (r *remote) matches(a *Address) bool {
	var addr [16]byte
	r.Store(&addr)
	return addr == a.Addr && r.port == a.Port && (r.scope == 0 || a.Scope == 0 || r.scope == a.Scope)
}

// segments is the lender of the pieces of one coalesced datagram.
type segments struct {
	whole *Datagram
	left  atomic.Int32
}

// cut makes single datagrams of a coalesced one, linked by Next. That is needed only around the moment when
// UDP_RECV_MAX_COALESCED_SIZE is switched off, so it may allocate.
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

// Keep implements Lender. The pieces point into the whole datagram, which can't be moved any more.
func (l *segments) Keep(*Datagram) {}
