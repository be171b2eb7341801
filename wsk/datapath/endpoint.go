// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/inflight"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// endpoint is the datapath's half of a WSK socket: its companion socket, its flows, and its place among the queues.
type endpoint struct {
	dp     *Datapath
	family uint16
	serial uint32 // spreads endpoints over queues
	events wsk.EndpointEvents

	receiver   wsk.Receiver   // events, if it takes datagrams
	receiving  atomic.Bool    // deliveries may begin: set after the success of Bind, under rxMu
	deliveries inflight.Calls // under way; closed by Close
	options    atomic.Pointer[wsk.ReceiveOptions]

	// Written by Bind before its callback, which happens before the first Send.
	local     netip.AddrPort
	dual      bool
	boundIf   int // the device that carries a specific local address, 0 for a wildcard
	companion *companion

	rxMu  sync.Mutex
	ended atomic.Bool // Close was called; set under rxMu

	entries []portEntry // guarded by Datapath.portsMu
	members memberships

	aborted atomic.Bool
	dead    atomic.Bool
	flows   flowTable
	devices deviceUse
}

var _ wsk.ReceivingEndpoint = (*endpoint)(nil)

// Bind implements wsk.Endpoint.
func (ep *endpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	ep.dp.goRun(func() {
		if ep.dp.isClosed() { // its namespace may be gone
			done(netip.AddrPort{}, wsk.STATUS_FILE_FORCED_CLOSED)
			return
		}
		c, local, status := openCompanion(ep, req)
		if status == wsk.STATUS_SUCCESS && !ep.adopt(c, local, req.DualStack) {
			ep.dp.release(c, local.Port())
			local, status = netip.AddrPort{}, wsk.STATUS_FILE_FORCED_CLOSED
		}
		if status == wsk.STATUS_SUCCESS {
			if a := local.Addr(); !a.IsUnspecified() {
				ep.boundIf, _ = ep.dp.routes.AddressDevice(a.Unmap().WithZone(""))
			}
		}
		done(local, status)
		if status == wsk.STATUS_SUCCESS {
			ep.receive()
		}
	})
}

// adopt takes the companion socket, with the options that were set before there was one. It reports false when the datapath is
// being closed, whose Close either finds the socket here or has it refused.
func (ep *endpoint) adopt(c *companion, local netip.AddrPort, dual bool) bool {
	ep.members.mu.Lock()
	ep.dp.mu.Lock()
	closed := ep.dp.closed
	if !closed {
		ep.companion, ep.local, ep.dual = c, local, dual
	}
	ep.dp.mu.Unlock()
	ep.members.mu.Unlock()
	if o := *ep.options.Load(); !closed && o != (wsk.ReceiveOptions{}) {
		c.setReceive(o)
	}
	return !closed
}

// bound is the companion socket, nil before Bind has succeeded, for those who may come while it runs.
func (ep *endpoint) bound() *companion {
	ep.members.mu.Lock()
	defer ep.members.mu.Unlock()
	return ep.companion
}

// receive lets datagrams in. It comes after the callback of Bind, whose routine may have closed the endpoint: what
// arrives before waits in the companion socket.
func (ep *endpoint) receive() {
	ep.rxMu.Lock()
	defer ep.rxMu.Unlock()
	if ep.ended.Load() {
		return
	}
	ep.receiving.Store(true)
	ep.dp.register(ep)
	ep.companion.start()
}

// Configure implements wsk.ReceivingEndpoint.
func (ep *endpoint) Configure(o wsk.ReceiveOptions) {
	ep.options.Store(&o)
	ep.members.mu.Lock()
	defer ep.members.mu.Unlock()
	if ep.companion == nil || ep.ended.Load() {
		return
	}
	ep.companion.setReceive(o)
	for _, g := range ep.companion.groups {
		g.setReceive(o)
	}
}

// Send implements wsk.Endpoint.
func (ep *endpoint) Send(op *wsk.SendOp) {
	ep.flows.find(ep, &op.To).send(op)
}

// MTU implements wsk.Endpoint. It answers from what is known; an unknown path is looked up for the next question.
func (ep *endpoint) MTU(to *wsk.Destination) (int, wsk.NTSTATUS) {
	f := ep.flows.find(ep, to)
	if p := f.path.Load(); p != nil && p.generation == ep.dp.routes.Generation() {
		return p.mtu, wsk.STATUS_SUCCESS
	}
	f.prefetch()
	return 0, wsk.STATUS_NETWORK_UNREACHABLE
}

// Abort implements wsk.Endpoint.
func (ep *endpoint) Abort() {
	ep.aborted.Store(true)
	ep.flows.each(func(f *flow) { f.abort() })
	if c := ep.bound(); c != nil {
		c.abort()
	}
	ep.dp.eachQueue(func(q *queue) { q.abort(ep) })
}

// Close implements wsk.Endpoint. No delivery begins once it has returned; those under way have ended when done is called. The
// port leaves the XDP programs before the kernel gets it back (I8, I12).
func (ep *endpoint) Close(done func()) {
	ep.rxMu.Lock()
	ep.ended.Store(true)
	ep.deliveries.Close()
	ep.rxMu.Unlock()
	ep.dp.goRun(func() {
		if ep.companion != nil {
			// Also of an endpoint that was closed before it began to receive: it may have joined groups.
			ep.members.leaveAll(ep)
			ep.dp.unregister(ep)
		}
		ep.deliveries.Wait()
		if ep.companion != nil {
			ep.dp.release(ep.companion, ep.local.Port())
		}
		ep.dp.forget(ep)
		done()
	})
}

// deviceGone is called when a device has been deleted. A socket dies with the device that carries its bound address, or with
// the last device that it has sent through: then there is nothing left that it was made for. Another one goes on.
func (ep *endpoint) deviceGone(ifindex int) {
	if !ep.devices.remove(ifindex) && ep.boundIf != ifindex {
		return
	}
	if ep.dead.CompareAndSwap(false, true) {
		ep.events.Dead()
		ep.flows.each(func(f *flow) { f.fail(wsk.STATUS_FILE_FORCED_CLOSED) })
	}
}

var _ wsk.InterfaceFinder = (*endpoint)(nil)

// InterfaceOf implements wsk.InterfaceFinder.
func (ep *endpoint) InterfaceOf(a netip.Addr) (uint32, wsk.NTSTATUS) {
	index, ok := ep.dp.routes.AddressDevice(a.Unmap().WithZone(""))
	if !ok {
		return 0, wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	return uint32(index), wsk.STATUS_SUCCESS
}
