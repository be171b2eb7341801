// SPDX-License-Identifier: Apache-2.0

package wsktest

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// endpoint implements wsk.ReceivingEndpoint and wsk.InterfaceFinder. Its fields are guarded by the transport's mutex.
type endpoint struct {
	t        *Transport
	family   uint16
	events   wsk.EndpointEvents
	req      wsk.BindRequest // with the port that was bound
	local    netip.AddrPort  // valid when bound
	options  wsk.ReceiveOptions
	groups   groups
	aborted  bool
	verdicts map[wsk.Destination]wsk.NTSTATUS // of the guard
	dying    sync.Once

	receiving int // calls of Receive in progress
	closed    bool
	closeDone func()
}

func (e *endpoint) die() { e.dying.Do(e.events.Dead) }

// Bind implements wsk.Endpoint.
func (e *endpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	finish := func() {
		e.t.mu.Lock()
		local, status := e.reserve(req)
		e.t.mu.Unlock()
		done(local, status)
	}
	e.t.mu.Lock()
	if e.t.delayBinds {
		e.t.binds = append(e.t.binds, finish)
		e.t.mu.Unlock()
		return
	}
	e.t.mu.Unlock()
	finish()
}

// reserve asks wsk.Sharing about every other socket.
func (e *endpoint) reserve(req wsk.BindRequest) (netip.AddrPort, wsk.NTSTATUS) {
	t := e.t
	addr := req.Local.Addr()
	if a := addr.Unmap(); t.local != nil && !a.IsUnspecified() && !a.IsMulticast() &&
		!slices.Contains(t.local, a.WithZone("")) {
		return netip.AddrPort{}, wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	if req.Local.Port() != 0 {
		return e.take(req)
	}
	for range 65536 - firstDynamicPort {
		req.Local = netip.AddrPortFrom(addr, t.nextPort)
		if t.nextPort++; t.nextPort == 0 {
			t.nextPort = firstDynamicPort
		}
		if !slices.ContainsFunc(t.endpoints, func(o *endpoint) bool { return o.local.Port() == req.Local.Port() }) {
			return e.take(req)
		}
	}
	return netip.AddrPort{}, wsk.STATUS_TOO_MANY_ADDRESSES
}

func (e *endpoint) take(req wsk.BindRequest) (netip.AddrPort, wsk.NTSTATUS) {
	for _, o := range e.t.endpoints {
		if o == e || !o.local.IsValid() {
			continue
		}
		if status := wsk.Sharing(&o.req, &req); status != wsk.STATUS_SUCCESS {
			return netip.AddrPort{}, status
		}
	}
	e.req, e.local = req, req.Local
	return e.local, wsk.STATUS_SUCCESS
}

// Send implements wsk.Endpoint.
func (e *endpoint) Send(op *wsk.SendOp) {
	t := e.t
	verdict := e.admit(&op.To)
	t.mu.Lock()
	t.counts.Sends++
	op.Transport.Via = e
	switch {
	case verdict != wsk.STATUS_SUCCESS:
		t.mu.Unlock()
		t.end(op, verdict)
	case e.aborted:
		t.counts.Cancelled++
		t.mu.Unlock()
		t.end(op, wsk.STATUS_CANCELLED)
	case t.mode == Wait:
		if !op.ArmCancel(t) {
			t.counts.Cancelled++
			t.mu.Unlock()
			t.end(op, wsk.STATUS_CANCELLED)
			return
		}
		op.Transport.Linked = true
		t.pending = append(t.pending, op)
		t.mu.Unlock()
	case t.mode == Post:
		t.emit(op)
		t.pending = append(t.pending, op)
		t.mu.Unlock()
	default:
		t.emit(op)
		t.mu.Unlock()
		t.end(op, wsk.STATUS_SUCCESS)
	}
}

// MTU implements wsk.Endpoint.
func (e *endpoint) MTU(*wsk.Destination) (int, wsk.NTSTATUS) {
	e.t.mu.Lock()
	defer e.t.mu.Unlock()
	if e.t.mtu == 0 {
		return 0, wsk.STATUS_NETWORK_UNREACHABLE
	}
	return e.t.mtu, wsk.STATUS_SUCCESS
}

// InterfaceOf implements wsk.InterfaceFinder: the n-th address of SetLocal is on interface n, counted from 1.
func (e *endpoint) InterfaceOf(addr netip.Addr) (uint32, wsk.NTSTATUS) {
	e.t.mu.Lock()
	defer e.t.mu.Unlock()
	i := slices.Index(e.t.local, addr)
	if i < 0 {
		return 0, wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	return uint32(i + 1), wsk.STATUS_SUCCESS
}

// Abort implements wsk.Endpoint: what waits is cancelled, what is with the kernel stays.
func (e *endpoint) Abort() {
	t := e.t
	t.mu.Lock()
	e.aborted = true
	var over []*wsk.SendOp
	t.pending = slices.DeleteFunc(t.pending, func(op *wsk.SendOp) bool {
		if op.Transport.Via != e || !op.Transport.Linked || !op.DisarmCancel() {
			return false
		}
		over = append(over, op)
		return true
	})
	t.counts.Cancelled += len(over)
	t.mu.Unlock()
	for _, op := range over {
		t.end(op, wsk.STATUS_CANCELLED)
	}
}

// Close implements wsk.Endpoint. It panics when an operation of the endpoint is still pending: the socket came too
// early.
func (e *endpoint) Close(done func()) {
	t := e.t
	t.mu.Lock()
	for _, op := range t.pending {
		if op.Transport.Via == e {
			t.mu.Unlock()
			panic("wsktest: endpoint closed while an operation is pending")
		}
	}
	t.endpoints = slices.DeleteFunc(t.endpoints, func(o *endpoint) bool { return o == e })
	t.counts.Closed++
	e.closed, e.closeDone = true, done
	done = e.whenClosed() // or else the call of Receive that ends last
	t.mu.Unlock()
	if done != nil {
		done()
	}
}

// admit is the verdict of the endpoint's guard.
func (e *endpoint) admit(to *wsk.Destination) wsk.NTSTATUS {
	guard, ok := e.events.(wsk.FlowGuard)
	t := e.t
	t.mu.Lock()
	way := t.way
	verdict, known := e.verdicts[*to]
	t.mu.Unlock()
	if !ok || way == nil || known {
		return verdict
	}
	verdict = guard.Admit(to, way(to))
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.verdicts == nil {
		e.verdicts = make(map[wsk.Destination]wsk.NTSTATUS)
	}
	e.verdicts[*to] = verdict
	return verdict
}
