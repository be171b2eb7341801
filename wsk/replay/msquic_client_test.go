// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// quic is the datapath of msquic for Windows kernel mode, as far as it calls WSK.
type quic struct {
	t            *testing.T
	audit        *audit
	registration wsk.Registration
	npi          wsk.ProviderNPI
	dispatch     wsk.ClientDatagramDispatch

	// Features, as the probes found them.
	segmentation, coalescing, dscp bool

	blocks, blocksFreed atomic.Int64

	// retain makes it behave as newer versions do: they keep indications until their packets have been dealt with.
	// Older ones copy them and give them back at once.
	retain  bool
	returns chan quicKept
	worker  sync.WaitGroup

	// Upcalls.
	receive     func(b *quicBinding, d quicDatagram)
	unreachable func(b *quicBinding, remote netip.AddrPort)
}

// quicDatagram is one datagram in memory of the client's own.
type quicDatagram struct {
	local, remote netip.AddrPort
	ifIndex       uint32
	data          []byte
	ecn, ttl      int
	coalesced     bool
}

// quicBinding is a socket. Its IRP and its event serve one call after the other.
type quicBinding struct {
	quic      *quic
	irp       wsk.IRP
	event     event
	socket    *wsk.Socket
	connected bool
	address   atomic.Pointer[netip.AddrPort] // indications may come before the client has asked for it
	rundown   rundown
	deleted   atomic.Int32
	gone      chan struct{}
}

// quicConfig is how a binding is to be made.
type quicConfig struct {
	local, remote  netip.AddrPort // invalid: any, and not connected
	interfaceIndex uint32
	owner          *wsk.EPROCESS
}

// maxCoalesced is MAX_URO_PAYLOAD_LENGTH.
const maxCoalesced = 65527

func newQuic(t *testing.T, r *rig) *quic {
	t.Helper()
	q := &quic{t: t, audit: &r.audit, returns: make(chan quicKept, 10_000)}
	q.worker.Go(q.returnLoop)
	q.dispatch.ReceiveFromEvent = quicReceive
	r.register(&q.registration, &q.npi)
	bypass := binary.LittleEndian.AppendUint32(nil, wsk.WSK_TDI_BEHAVIOR_BYPASS_TDI)
	q.npi.ControlClient(wsk.WSK_TDI_BEHAVIOR, bypass, nil, nil, nil) // its failure is only logged
	status := q.npi.ControlClient(wsk.WSK_SET_STATIC_EVENT_CALLBACKS,
		wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil)
	if status != wsk.STATUS_SUCCESS {
		t.Fatalf("WSK_SET_STATIC_EVENT_CALLBACKS: %v", status)
	}
	q.probeRSS()
	q.probeOptions()
	return q
}

// close blocks until every binding that was deleted has ended.
func (q *quic) close() {
	close(q.returns)
	q.worker.Wait()
	wsk.ReleaseProviderNPI(&q.registration)
	wsk.Deregister(&q.registration)
}

// newBinding creates a socket. It is deleted again on failure.
func (q *quic) newBinding(config quicConfig) (*quicBinding, wsk.NTSTATUS) {
	b := &quicBinding{quic: q, event: newEvent(), connected: config.remote.IsValid(), gone: make(chan struct{})}
	local := netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	if config.local.IsValid() {
		local = mapped(config.local)
	}
	b.address.Store(&local)
	c := q.audit.arm(&b.irp, "WskSocket", setEvent, b.event)
	status := c.returns(q.npi.Socket(wsk.AF_INET6, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, b, &q.dispatch,
		config.owner, nil, nil, &b.irp))
	if status == wsk.STATUS_PENDING {
		b.event.wait(q.t, "WskSocket")
		status = b.irp.IoStatus.Status
	}
	if status.Success() {
		b.socket = b.irp.IoStatus.Socket
		status = b.prepare(config)
	}
	if !status.Success() {
		b.delete()
		return nil, status
	}
	return b, status
}

// prepare makes the set-up calls in the order of the client: options, bind, fixed address, local address.
func (b *quicBinding) prepare(config quicConfig) wsk.NTSTATUS {
	type option struct{ level, code, value uint32 }
	options := []option{
		{wsk.IPPROTO_IPV6, wsk.IPV6_V6ONLY, 0},
		{wsk.IPPROTO_IP, wsk.IP_DONTFRAGMENT, 1}, {wsk.IPPROTO_IPV6, wsk.IPV6_DONTFRAG, 1},
		{wsk.IPPROTO_IPV6, wsk.IPV6_PKTINFO, 1}, {wsk.IPPROTO_IP, wsk.IP_PKTINFO, 1},
		{wsk.IPPROTO_IPV6, wsk.IPV6_ECN, 1}, {wsk.IPPROTO_IP, wsk.IP_ECN, 1},
		{wsk.IPPROTO_IPV6, wsk.IPV6_RECVERR, 1}, {wsk.IPPROTO_IP, wsk.IP_RECVERR, 1},
		{wsk.IPPROTO_IP, wsk.IP_HOPLIMIT, 1}, {wsk.IPPROTO_IPV6, wsk.IPV6_HOPLIMIT, 1},
	}
	if b.quic.coalescing {
		options = append(options, option{wsk.IPPROTO_UDP, wsk.UDP_RECV_MAX_COALESCED_SIZE, maxCoalesced})
	}
	if index := config.interfaceIndex; index != 0 {
		options = append(options, option{wsk.IPPROTO_IPV6, wsk.IPV6_UNICAST_IF, index},
			option{wsk.IPPROTO_IP, wsk.IP_UNICAST_IF, index<<24 | index<<8&0xff0000 | index>>8&0xff00 | index>>24})
	}
	for _, o := range options {
		stack := binary.LittleEndian.AppendUint32(nil, o.value)
		if status := b.control(wsk.WskSetOption, o.code, o.level, stack); !status.Success() {
			b.quic.t.Errorf("set option %d/%d: %v", o.level, o.code, status)
			return status
		}
	}
	status := b.call("WskBind", func(irp *wsk.IRP) wsk.NTSTATUS { return b.socket.Bind(wsk.NewSockaddr(b.local()), 0, irp) })
	if status.Success() && config.remote.IsValid() {
		status = b.control(wsk.WskIoctl, wsk.SIO_WSK_SET_REMOTE_ADDRESS, wsk.SOL_SOCKET, wsk.NewSockaddr(mapped(config.remote)))
	}
	if status.Success() {
		sa := make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6)
		status = b.call("WskGetLocalAddress", func(irp *wsk.IRP) wsk.NTSTATUS { return b.socket.GetLocalAddress(sa, irp) })
		local, _ := sa.AddrPort()
		local = unmapped(local)
		b.address.Store(&local)
	}
	return status
}

func (b *quicBinding) local() netip.AddrPort { return *b.address.Load() }

// call makes one call with the binding's IRP.
func (b *quicBinding) call(what string, f func(irp *wsk.IRP) wsk.NTSTATUS) wsk.NTSTATUS {
	b.irp.Reuse(wsk.STATUS_SUCCESS)
	c := b.quic.audit.arm(&b.irp, what, setEvent, b.event)
	b.event.reset()
	status := c.returns(f(&b.irp))
	if status == wsk.STATUS_PENDING {
		b.event.wait(b.quic.t, what)
		status = b.irp.IoStatus.Status
	}
	return status
}

// control passes a size variable although there is an IRP, and its input is gone when it returns.
func (b *quicBinding) control(request wsk.ControlSocketType, code, level uint32, stack []byte) wsk.NTSTATUS {
	var returned uintptr
	return b.call("WskControlSocket", func(irp *wsk.IRP) wsk.NTSTATUS {
		status := b.socket.ControlSocket(request, code, level, stack, nil, &returned, irp)
		scribble(stack)
		return status
	})
}

// delete closes the socket. Whether it or the routine cleans up is decided by what the call returns, and in the routine
// by PendingReturned.
func (b *quicBinding) delete() {
	if b.socket != nil {
		b.rundown.wait(b.quic.t)
		b.irp.Reuse(wsk.STATUS_SUCCESS)
		c := b.quic.audit.arm(&b.irp, "WskCloseSocket", quicClosed, b)
		if c.returns(b.socket.Close(&b.irp)) == wsk.STATUS_PENDING {
			return
		}
	}
	b.deleteComplete()
}

func quicClosed(irp *wsk.IRP, context any) wsk.NTSTATUS {
	if irp.PendingReturned {
		context.(*quicBinding).deleteComplete()
	}
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

func (b *quicBinding) deleteComplete() {
	if b.deleted.Add(1) != 1 {
		b.quic.t.Error("the binding is freed twice")
		return
	}
	b.socket = nil
	b.irp = wsk.IRP{} // freed
	close(b.gone)
}
