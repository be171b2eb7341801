// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
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
// has: ErrUnreachable when it gives up or after Options.NeighbourTimeout; ErrNoDevice; ErrClosed; or the context's
// error. Any number of callers may wait for the same neighbour: it is asked for once.
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
	if t.closed() {
		return [6]byte{}, ErrClosed
	}
	k := neighbourKey{ifindex, ip.Unmap().WithZone("")}
	if !k.ip.IsValid() || k.ip.IsUnspecified() {
		return [6]byte{}, fmt.Errorf("neighbour %v: %w: not an address of a host", ip, ErrUnreachable)
	}
	r, first := t.waiting.join(k)
	defer t.waiting.leave(k, r)
	// The answer may have come between the look and the joining; nobody would report it again.
	if mac, ok := t.snap.Load().macs[k]; ok {
		return mac, nil
	}
	if first {
		t.solicit(k, r)
	}
	timer := time.NewTimer(t.opts.NeighbourTimeout)
	defer timer.Stop()
	select {
	case <-r.done:
		return r.mac, r.err
	case <-timer.C:
		return [6]byte{}, t.unreachable(k, fmt.Sprintf("no answer within %v", t.opts.NeighbourTimeout))
	case <-ctx.Done():
		return [6]byte{}, ctx.Err()
	case <-t.done:
		return [6]byte{}, ErrClosed
	}
}

func (t *Table) unreachable(k neighbourKey, why string) error {
	name := fmt.Sprintf("interface %d", k.index)
	if d, ok := t.Device(k.index); ok {
		name = d.Name
	}
	return fmt.Errorf("neighbour %v on %s: %w: %s", k.ip, name, ErrUnreachable, why)
}

// solicit makes the kernel resolve k and settles r at once when it has or can't.
func (t *Table) solicit(k neighbourKey, r *resolution) {
	n, err := t.prober.solicit(t.asker, k)
	r.solicited.Store(true)
	switch {
	case err == nil && n.usable():
		t.waiting.finish(k, r, n.mac, nil)
	case err == nil:
	case t.closed():
		t.waiting.finish(k, r, [6]byte{}, ErrClosed)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		t.waiting.finish(k, r, [6]byte{},
			fmt.Errorf("neighbour %v on interface %d: %w: %w", k.ip, k.index, ErrNoDevice, err))
	default:
		t.waiting.finish(k, r, [6]byte{}, fmt.Errorf("%w: %w", t.unreachable(k, "the kernel doesn't ask"), err))
	}
}

// wakeWaiters settles the resolutions that a batch of events decided.
func (t *Table) wakeWaiters(m *model, c *changes) {
	for k, tr := range c.touched {
		if tr.usable {
			t.waiting.settle(k, tr.mac, nil)
		}
	}
	for k := range c.failed {
		r := t.waiting.find(k)
		// A failure from before the question says nothing about it, and events come late; so the kernel is asked how it
		// stands now.
		if r == nil || !r.solicited.Load() {
			continue
		}
		if n, err := t.dumper.neighbour(k); err == nil && n.state&unix.NUD_FAILED == 0 {
			continue
		}
		t.waiting.finish(k, r, [6]byte{}, t.unreachable(k, "the kernel has given up asking"))
	}
	for _, e := range c.events {
		if e.Kind == LinkDeleted && m.devices[e.Interface] == nil {
			t.waiting.deviceGone(e.Interface, fmt.Errorf("neighbours on %s: %w: deleted", e.Name, ErrNoDevice))
		}
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

// groupMAC maps a group address to the MAC of its frames.
func groupMAC(ip netip.Addr) [6]byte {
	if ip.Is4() {
		b := ip.As4()
		return [6]byte{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	b := ip.As16()
	return [6]byte{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// resolutions are the neighbours being waited for.
type resolutions struct {
	mu     sync.Mutex
	wanted map[neighbourKey]*resolution
}

// resolution is one of them. mac and err are written before done is closed and read after.
type resolution struct {
	done chan struct{}
	mac  [6]byte
	err  error
	refs int // guarded by resolutions.mu
	// solicited: the kernel has been asked on behalf of this resolution.
	solicited atomic.Bool
}

// join enters a waiter; the first one has to ask.
func (w *resolutions) join(k neighbourKey) (r *resolution, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wanted == nil {
		w.wanted = map[neighbourKey]*resolution{}
	}
	if r = w.wanted[k]; r == nil {
		r, first = &resolution{done: make(chan struct{})}, true
		w.wanted[k] = r
	}
	r.refs++
	return r, first
}

// leave takes a waiter out; the last one takes the resolution along, so that the next call asks again.
func (w *resolutions) leave(k neighbourKey, r *resolution) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.refs--; r.refs == 0 && w.wanted[k] == r {
		delete(w.wanted, k)
	}
}

func (w *resolutions) find(k neighbourKey) *resolution {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wanted[k]
}

// settle ends the resolution of k, if there is one.
func (w *resolutions) settle(k neighbourKey, mac [6]byte, err error) {
	if r := w.find(k); r != nil {
		w.finish(k, r, mac, err)
	}
}

// finish ends r, unless it has ended.
func (w *resolutions) finish(k neighbourKey, r *resolution, mac [6]byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wanted[k] == r {
		delete(w.wanted, k)
		r.mac, r.err = mac, err
		close(r.done)
	}
}

func (w *resolutions) deviceGone(index int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, r := range w.wanted {
		if k.index == index {
			delete(w.wanted, k)
			r.err = err
			close(r.done)
		}
	}
}
