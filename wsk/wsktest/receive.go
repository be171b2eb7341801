// SPDX-License-Identifier: Apache-2.0

package wsktest

import (
	"net/netip"
	"strconv"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Arrival is a datagram, or an ICMP error, that comes in.
type Arrival struct {
	From netip.AddrPort // a zone is an interface index in decimal
	To   netip.AddrPort // decides which socket gets it
	// Payload is copied.
	Payload  []byte
	IfIndex  uint32
	TTL, TOS uint8
	// Cast is what the link layer said. If To is a multicast address it is Multicast in any case.
	Cast    wsk.Cast
	Segment uint16
	Err     *wsk.ReceiveError
}

// poison overwrites the payload of a datagram that has been given back, so that it shows when somebody looks at it too
// late.
const poison = 0xDD

// loan is a datagram that is lent to a socket.
type loan struct {
	wsk.Datagram
	t        *Transport
	released atomic.Bool
}

// Release implements wsk.Lender. It panics when the datagram was given back before.
func (l *loan) Release(d *wsk.Datagram) {
	if d != &l.Datagram || l.released.Swap(true) {
		panic("wsktest: a datagram was released twice, or to the wrong lender")
	}
	overwrite(d.Payload)
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	l.t.counts.Lent--
}

// Keep implements wsk.Lender: it moves the payload, if [Transport.MoveKept] says so.
func (l *loan) Keep(d *wsk.Datagram) {
	if l.released.Load() {
		panic("wsktest: a datagram is kept that was released")
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	l.t.counts.Kept++
	if l.t.moveKept {
		old := d.Payload
		d.Payload = append([]byte(nil), old...)
		overwrite(old)
	}
}

func overwrite(b []byte) {
	for i := range b {
		b[i] = poison
	}
}

// MoveKept makes Keep move payloads to other memory from now on, as a transport does when its ring would run dry.
func (t *Transport) MoveKept(move bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moveKept = move
}

// Arrive hands arrivals to the sockets that they are for, and returns how many were handed over. Those that follow each
// other to the same socket with the same cast come in one list. A multicast goes to every socket that has joined the
// group. Arrive also delivers what a socket has not asked for, so that the socket has to look.
func (t *Transport) Arrive(list ...Arrival) (delivered int) {
	var to *endpoint
	var head, tail *loan
	flush := func() {
		if head != nil {
			to.receive(&head.Datagram)
			head, tail = nil, nil
		}
	}
	for i := range list {
		for _, e := range t.takers(&list[i]) {
			l := t.lend(e, &list[i])
			if head != nil && (to != e || l.Cast != head.Cast) {
				flush()
			}
			if to = e; head == nil {
				head = l
			} else {
				tail.Next = &l.Datagram
			}
			tail = l
			delivered++
		}
	}
	flush()
	return delivered
}

func (t *Transport) lend(e *endpoint, a *Arrival) *loan {
	l := &loan{t: t, Datagram: wsk.Datagram{
		Payload:     append([]byte(nil), a.Payload...),
		Source:      address(a.From),
		Destination: a.To.Addr().WithZone("").As16(),
		IfIndex:     a.IfIndex, TTL: a.TTL, TOS: a.TOS, Cast: a.Cast, Segment: a.Segment, Err: a.Err,
	}}
	if a.To.Addr().Unmap().IsMulticast() {
		l.Cast = wsk.Multicast
	}
	l.Lender = l
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Lent++
	t.counts.Arrived++
	return l
}

// address is an address as it comes from the wire.
func address(ap netip.AddrPort) wsk.Address {
	scope, err := strconv.ParseUint(ap.Addr().Zone(), 10, 32)
	if err != nil {
		scope = 0
	}
	return wsk.Address{Addr: ap.Addr().WithZone("").As16(), Scope: uint32(scope), Port: ap.Port()}
}

// takers are the endpoints that an arrival is for. A unicast or broadcast goes to the most specific one, and of equally
// specific ones to the one that was bound last.
func (t *Transport) takers(a *Arrival) (takers []*endpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to := a.To.Addr().Unmap()
	best := -1
	for _, e := range t.endpoints {
		if !e.local.IsValid() || e.closed || e.local.Port() != a.To.Port() || !e.speaks(to) {
			continue
		}
		if to.IsMulticast() {
			if e.groups.has(a) {
				takers = append(takers, e)
			}
			continue
		}
		rank := 0
		if local := e.local.Addr(); !local.IsUnspecified() {
			if rank = 1; local.Unmap().WithZone("") != to.WithZone("") && a.Cast == wsk.Unicast {
				continue
			}
		}
		if rank >= best {
			best, takers = rank, []*endpoint{e}
		}
	}
	return takers
}

// speaks reports whether the endpoint has the IP version of an address.
func (e *endpoint) speaks(a netip.Addr) bool {
	if e.family == wsk.AF_INET || e.local.Addr().Is4In6() {
		return a.Is4()
	}
	return a.Is6() || e.req.DualStack
}

// receive calls the socket, unless it has been closed.
func (e *endpoint) receive(list *wsk.Datagram) {
	e.t.mu.Lock()
	if e.closed {
		e.t.mu.Unlock()
		for d := list; d != nil; {
			next := d.Next
			d.Release()
			e.t.late()
			d = next
		}
		return
	}
	e.receiving++
	e.t.mu.Unlock()
	e.events.(wsk.Receiver).Receive(list)
	e.t.mu.Lock()
	e.receiving--
	done := e.whenClosed()
	e.t.mu.Unlock()
	if done != nil {
		done()
	}
}

func (t *Transport) late() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Late++
}

// whenClosed takes the function that a close has to call, if nothing is being received any more. The mutex is held.
func (e *endpoint) whenClosed() (done func()) {
	if e.closed && e.receiving == 0 {
		done, e.closeDone = e.closeDone, nil
	}
	return done
}

// Loop makes datagrams that leave arrive at the socket of this transport that they are for, on a goroutine of its own.
func (t *Transport) Loop(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loop = on
}

// loopBack queues a datagram that has left. The mutex is held.
func (t *Transport) loopBack(d *Datagram) {
	to := netip.AddrPortFrom(d.To.IP(), d.To.Port)
	from := d.From
	if source := d.To.SourceIP(); source.IsValid() {
		from = netip.AddrPortFrom(source, from.Port())
	} else if from.Addr().IsUnspecified() {
		from = netip.AddrPortFrom(to.Addr(), from.Port()) // as for one of the host's own addresses
	}
	t.looped = append(t.looped, Arrival{
		From: from, To: to, Payload: d.Payload, IfIndex: max(d.To.IfIndex, 1), TTL: d.To.TTL, TOS: d.To.TOS,
	})
	if !t.looping {
		t.looping = true
		go t.runLoop()
	}
}

func (t *Transport) runLoop() {
	for {
		t.mu.Lock()
		batch := t.looped
		t.looped = nil
		if t.looping = len(batch) > 0; !t.looping {
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		t.Arrive(batch...)
	}
}
