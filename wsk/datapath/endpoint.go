// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/companion"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// endpoint is the datapath's half of a WSK socket. Sending, receiving and the sockets in the kernel know nothing of each
// other; it ties them together.
type endpoint struct {
	dp     *Datapath
	events wsk.EndpointEvents

	source send.Source        // what it sends
	sink   *receive.Sink      // what it receives
	kernel *companion.Sockets // its sockets in the kernel

	// boundIf is the device that carries a specific local address, 0 for a wildcard. Written by Bind before its callback.
	boundIf int

	started chan struct{} // closed when datagrams are let in

	rxMu  lockrank.Mutex[locks.RxMu] // held over the change between not receiving, receiving and ended
	ended bool
}

var (
	_ wsk.ReceivingEndpoint = (*endpoint)(nil)
	_ wsk.AttendedEndpoint  = (*endpoint)(nil)
)

func newEndpoint(dp *Datapath, family uint16, events wsk.EndpointEvents) *endpoint {
	ep := &endpoint{dp: dp, events: events, started: make(chan struct{})}
	ep.source.Host, ep.source.Serial = dp.senders, dp.senders.Serial.Add(1)-1
	ep.source.Redirected, ep.source.Started = ep.redirected, ep.started
	ep.source.Guard, _ = events.(wsk.FlowGuard)
	receiver, _ := events.(wsk.Receiver)
	ep.sink = dp.hub.NewSink(receiver)
	ep.kernel = dp.companions.NewSockets(family, ep.sink, ep.source.PathNarrowed)
	return ep
}

// Bind implements wsk.Endpoint.
func (ep *endpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	ep.dp.goRun(func() {
		if ep.dp.endpoints.isClosed() { // its namespace may be gone
			done(netip.AddrPort{}, wsk.STATUS_FILE_FORCED_CLOSED)
			return
		}
		// The datapath's Close either finds the companion socket or has it refused.
		local, status := ep.kernel.Bind(req, func() bool { return !ep.dp.endpoints.isClosed() })
		if status == wsk.STATUS_SUCCESS {
			ep.source.Local, ep.source.Slow, ep.source.Asks = local, ep.kernel, ep.kernel.Asks()
			ep.sink.SetLocal(local, req.DualStack)
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

// receive lets datagrams in. It comes after the callback of Bind, whose routine may have closed the endpoint: what
// arrives before waits in the companion socket.
func (ep *endpoint) receive() {
	ep.rxMu.Lock()
	defer ep.rxMu.Unlock()
	if ep.ended {
		return
	}
	defer close(ep.started)
	ep.sink.Open()
	if ep.takesFrames() {
		ep.dp.hub.Register(ep.sink)
	}
	ep.kernel.Start()
}

// redirected reports whether datagrams of a family that come in by an interface are brought by an XDP program.
func (ep *endpoint) redirected(ifindex int, is4 bool) bool {
	return ep.dp.hub.Redirects(ep.sink, uint32(ifindex), is4)
}

// takesFrames reports whether datagrams may come past the kernel. What is made in a VRF (ip vrf exec) is bound to it, and gets only what
// comes from there, which the kernel knows.
func (ep *endpoint) takesFrames() bool {
	return ep.source.Asks.Bound == 0 || ep.source.Local.Addr().Zone() != ""
}

// Configure implements wsk.ReceivingEndpoint.
func (ep *endpoint) Configure(o wsk.ReceiveOptions) { ep.kernel.Configure(o) }

// Reading implements wsk.AttendedEndpoint.
func (ep *endpoint) Reading() wsk.Reading {
	if d := ep.sink.Reading(); d != nil {
		return d
	}
	return nil
}

// Attend implements wsk.AttendedEndpoint.
func (ep *endpoint) Attend(r wsk.Reading, pending wsk.Pending, alone bool) {
	r.(*receive.Duty).Attend(pending, ep.sink, alone)
}

// Change implements wsk.ReceivingEndpoint.
func (ep *endpoint) Change(m wsk.Membership) wsk.NTSTATUS {
	status := ep.kernel.Change(m)
	if status == wsk.STATUS_SUCCESS {
		for _, s := range ep.dp.endpoints.sources() {
			s.GroupChanged(ipaddr.Addr(m.Group)) // the host itself is to get it now, or no more
		}
	}
	return status
}

// Send implements wsk.Endpoint.
func (ep *endpoint) Send(op *wsk.SendOp) { ep.source.Send(op) }

var _ wsk.BatchEndpoint = (*endpoint)(nil)

// SendBatch implements wsk.BatchEndpoint.
func (ep *endpoint) SendBatch(ops []*wsk.SendOp) { ep.source.SendBatch(ops) }

// MTU implements wsk.Endpoint. It answers from what is known; an unknown path is looked up for the next question.
func (ep *endpoint) MTU(to *wsk.Destination) (int, wsk.NTSTATUS) { return ep.source.Mtu(to) }

// Abort implements wsk.Endpoint.
func (ep *endpoint) Abort() {
	ep.source.Abort()
	ep.kernel.Abort()
	ep.dp.devices.EachQueue(func(q *send.Queue) { q.Abort(&ep.source) })
}

// Close implements wsk.Endpoint. No delivery begins once it has returned; those under way have ended when done is called. The
// port leaves the XDP programs before the kernel gets it back (I8, I12).
func (ep *endpoint) Close(done func()) {
	ep.rxMu.Lock()
	receiving := ep.sink.IsOpen() && !ep.ended
	ep.ended = true
	ep.kernel.End()
	if receiving {
		ep.sink.Shut()
	}
	ep.rxMu.Unlock()
	ep.dp.goRun(func() {
		if ep.kernel.IsBound() {
			// Also of an endpoint that was closed before it began to receive: it may have joined groups.
			ep.kernel.LeaveAll()
			ep.dp.hub.Unregister(ep.sink)
		}
		if receiving {
			ep.sink.Wait()
		}
		ep.kernel.Close()
		ep.dp.endpoints.remove(ep)
		done()
	})
}

// deviceGone is called when a device has been deleted. A socket dies with the device that carried the address that it is
// bound to. One that is bound to no address outlives every device, as the kernel's does: only what was in flight fails. Groups that
// were joined there are left; age is from when it was heard of.
func (ep *endpoint) deviceGone(ifindex int, age uint64) {
	ep.kernel.LeaveInterface(uint32(ifindex), age)
	if ep.boundIf != ifindex {
		return
	}
	if ep.source.Kill() {
		ep.events.Dead()
		ep.source.FailFlows()
	}
}

var _ wsk.MarkingEndpoint = (*endpoint)(nil)

// Mark implements wsk.MarkingEndpoint.
func (ep *endpoint) Mark(mark uint32) wsk.NTSTATUS { return ep.kernel.Mark(mark) }

// MarkedSourceFor implements wsk.MarkingEndpoint.
func (ep *endpoint) MarkedSourceFor(to wsk.Address, mark uint32) (wsk.Address, wsk.NTSTATUS) {
	return ep.dp.sourceFor(to, mark)
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
