// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// NeighbourNow is the MAC of a neighbour if it is known, without waiting and without asking anybody. Like Neighbour it
// counts as a use.
func (t *Table) NeighbourNow(ifindex int, ip netip.Addr) (mac [6]byte, ok bool) {
	k := neighbourKey{ifindex, ip.Unmap().WithZone("")}
	s := t.snap.Load()
	if mac, ok := s.fixedMAC(k); ok {
		return mac, true
	}
	// Noted before the table is read, and read again after: see uses.note.
	t.uses.note(k, t.now())
	mac, ok = t.snap.Load().macs[k]
	return mac, ok
}

// Neighbour is the MAC of a neighbour, given by an interface and an address on its link (Hop.Gateway). What is known is
// answered at once. Otherwise the kernel is made to resolve it, whatever it found out before, and Neighbour waits until it
// has: ErrUnreachable when it gives up or after Options.NeighbourTimeout; ErrNeighbourTableFull; ErrTooManyWaiting; ErrNoDevice;
// ErrClosed; or the context's error. Any number of callers may wait for the same neighbour: it is asked for once, and again
// when the entry is deleted meanwhile or the link comes back.
//
// Addresses that need no asking are mapped: IPv4 groups as in RFC 1112 section 6.4, IPv6 groups as in RFC 2464
// section 7, broadcast, and devices without neighbours as the kernel does.
func (t *Table) Neighbour(ctx context.Context, ifindex int, ip netip.Addr) ([6]byte, error) {
	if mac, ok := t.NeighbourNow(ifindex, ip); ok {
		return mac, nil
	}
	if err := ctx.Err(); err != nil {
		return [6]byte{}, err
	}
	type result struct {
		mac [6]byte
		err error
	}
	told := make(chan result, 1)
	cancel := t.AwaitNeighbour(ifindex, ip, func(mac [6]byte, err error) { told <- result{mac, err} })
	select {
	case r := <-told:
		return r.mac, r.err
	case <-ctx.Done():
		cancel()
		return [6]byte{}, ctx.Err()
	}
}

// AwaitNeighbour is Neighbour without a goroutine that waits: done is called once, with the same answers, by the caller before
// AwaitNeighbour returns or later by the table's goroutine, with no lock held. done must return soon, and may call all that a
// subscriber may (see Subscribe). cancel gives the wait up: done is not called any more, unless it is being called just then. At most
// Options.MaxWaiting are kept waiting; the next one gets ErrTooManyWaiting.
func (t *Table) AwaitNeighbour(ifindex int, ip netip.Addr, done func(mac [6]byte, err error)) (cancel func()) {
	nothing := func() {}
	if mac, ok := t.NeighbourNow(ifindex, ip); ok {
		done(mac, nil)
		return nothing
	}
	k := neighbourKey{ifindex, ip.Unmap().WithZone("")}
	if !k.ip.IsValid() || k.ip.IsUnspecified() {
		done([6]byte{}, fmt.Errorf("neighbour %v: %w: not an address of a host", ip, ErrUnreachable))
		return nothing
	}
	w := &waiter{done: done}
	first, err := t.waiting.join(k, w)
	if err != nil {
		done([6]byte{}, err)
		return nothing
	}
	// The answer may have come between the look and the joining; nobody would report it again.
	if mac, ok := t.snap.Load().macs[k]; ok {
		if t.waiting.leave(w) {
			done(mac, nil)
		}
		return nothing
	}
	if first != nil {
		t.solicit(first)
	}
	return func() { t.waiting.leave(w) }
}

func (t *Table) unreachable(k neighbourKey, why string) error {
	name := fmt.Sprintf("interface %d", k.index)
	if d, ok := t.Device(k.index); ok {
		name = d.Name
	}
	return fmt.Errorf("neighbour %v on %s: %w: %s", k.ip, name, ErrUnreachable, why)
}

// solicit makes the kernel resolve what is wanted and ends the wait at once when it has or can't.
func (t *Table) solicit(r *resolution) {
	k := r.key
	n, err := t.prober.solicit(t.asker, k)
	r.solicited.Store(true)
	switch {
	case err == nil && n.usable():
		t.waiting.finish(r, n.mac, nil)
	case err == nil:
	case t.closed():
		t.waiting.finish(r, [6]byte{}, ErrClosed)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		t.waiting.finish(r, [6]byte{}, fmt.Errorf("neighbour %v on interface %d: %w: %w", k.ip, k.index, ErrNoDevice, err))
	case errors.Is(err, unix.ENOBUFS):
		t.waiting.finish(r, [6]byte{}, fmt.Errorf("neighbour %v on interface %d: %w: %w", k.ip, k.index, ErrNeighbourTableFull, err))
	default:
		t.waiting.finish(r, [6]byte{}, fmt.Errorf("%w: %w", t.unreachable(k, "the kernel doesn't ask"), err))
	}
}

// maxAsks bounds how often a neighbour is asked for again while it is waited for.
const maxAsks = 16

// solicitAgain asks once more: the entry was deleted, or nothing could leave. Without a link it waits for that: the kernel's question
// would be lost, and an entry that is there already is asked for again only when its own time has come. An error is no
// answer now; the wait has its end.
func (t *Table) solicitAgain(m *model, r *resolution) {
	if r == nil || !r.solicited.Load() || r.asks >= maxAsks {
		return
	}
	if d := m.devices[r.key.index]; d == nil || !d.Up || !d.Carrier {
		return
	}
	r.asks++ // of the table's goroutine
	n, err := t.prober.solicit(t.dumper, r.key)
	if err == nil && n.usable() {
		t.waiting.finish(r, n.mac, nil)
	}
}

// wakeWaiters ends the waits that a batch of events decided, and asks again for what the events took away.
func (t *Table) wakeWaiters(m *model, c *changes) {
	for k, tr := range c.touched {
		if tr.usable {
			t.waiting.finish(t.waiting.find(k), tr.mac, nil)
		}
	}
	for k := range c.failed {
		r := t.waiting.find(k)
		// A failure from before the question says nothing about it, and events come late; so the kernel is asked how it
		// stands now.
		if r == nil || !r.solicited.Load() {
			continue
		}
		n, err := t.dumper.neighbour(k)
		switch {
		case err == nil && n.state&unix.NUD_FAILED == 0:
			continue
		case errors.Is(err, unix.ENOENT):
			// An entry that is deleted fails first.
			c.deleted[k] = struct{}{}
			continue
		}
		t.waiting.finish(r, [6]byte{}, t.unreachable(k, "the kernel has given up asking"))
	}
	for _, e := range c.events {
		switch {
		case e.Kind == LinkDeleted && m.devices[e.Interface] == nil:
			err := fmt.Errorf("neighbours on %s: %w: deleted", e.Name, ErrNoDevice)
			for _, r := range t.waiting.on(e.Interface) {
				t.waiting.finish(r, [6]byte{}, err)
			}
		case e.Kind == LinkUp, e.Kind == Carrier && e.Carrier, e.Kind == Resynced:
			for _, r := range t.waiting.on(e.Interface) {
				t.solicitAgain(m, r)
			}
		}
	}
	for k := range c.deleted {
		t.solicitAgain(m, t.waiting.find(k))
	}
}

// endWaits ends the waits that have lasted long enough.
func (t *Table) endWaits() {
	for _, w := range t.waiting.expired(time.Now()) {
		w.done([6]byte{}, t.unreachable(w.key, fmt.Sprintf("no answer within %v", t.opts.NeighbourTimeout)))
	}
}

// fixedMAC answers for the addresses and devices where there is nothing to resolve.
func (s *snapshot) fixedMAC(k neighbourKey) (mac [6]byte, ok bool) {
	d := s.devices[k.index]
	if d == nil || !k.ip.IsValid() {
		return mac, false
	}
	switch {
	// net/ipv4/arp.c, arp_constructor, and net/ipv6/ndisc.c, ndisc_constructor, in their order.
	case k.ip.IsMulticast():
		return groupMAC(k.ip), true
	case d.NoARP:
		return d.MAC, true
	case s.isBroadcast(k.ip):
		return [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true
	case d.PointToPoint:
		return d.broadcast, true
	}
	return mac, false
}

// isFixed reports whether there is nothing to resolve.
func (s *snapshot) isFixed(k neighbourKey) bool {
	_, ok := s.fixedMAC(k)
	return ok
}

// groupMAC maps a group address to the MAC of its frames.
func groupMAC(ip netip.Addr) [6]byte {
	if ip.Is4() {
		b := ip.As4()
		return [6]byte{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	b := ip.As16()
	return [6]byte{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

func macIf(tr transition) [6]byte {
	if tr.usable {
		return tr.mac
	}
	return [6]byte{}
}
