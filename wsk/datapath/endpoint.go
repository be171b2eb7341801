// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// endpoint is the datapath's half of a WSK socket: its companion socket, its flows, and its place among the queues.
type endpoint struct {
	dp     *Datapath
	family uint16
	serial uint32 // spreads endpoints over queues
	events wsk.EndpointEvents

	// Written by Bind before its callback, which happens before the first Send.
	local     netip.AddrPort
	boundIf   int // the device that carries a specific local address, 0 for a wildcard
	companion *companion

	aborted atomic.Bool
	dead    atomic.Bool
	flows   flowTable
	devices deviceUse
}

var _ wsk.Endpoint = (*endpoint)(nil)

// Bind implements wsk.Endpoint.
func (ep *endpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	ep.dp.goRun(func() {
		c, local, status := openCompanion(ep, req)
		if status == wsk.STATUS_SUCCESS {
			ep.companion, ep.local = c, local
			if a := local.Addr(); !a.IsUnspecified() {
				ep.boundIf, _ = ep.dp.routes.AddressDevice(a.Unmap().WithZone(""))
			}
			c.start()
		}
		done(local, status)
	})
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
	if ep.companion != nil {
		ep.companion.abort()
	}
	ep.dp.eachQueue(func(q *queue) { q.abort(ep) })
}

// Close implements wsk.Endpoint.
func (ep *endpoint) Close(done func()) {
	ep.dp.goRun(func() {
		if ep.companion != nil {
			ep.companion.close()
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
