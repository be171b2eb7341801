// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// ovpn is the UDP half of ovpn-dco-win: one socket with a fixed remote address and a dynamic callback.
type ovpn struct {
	t            *testing.T
	audit        *audit
	registration wsk.Registration
	npi          wsk.ProviderNPI
	socket       *wsk.Socket
	local        netip.AddrPort

	received       chan []byte
	sent, lost     atomic.Int64
	buffers, freed atomic.Int64
	bytesSent      atomic.Int64
}

// syncOp is the helper for all set-up calls. It frees its IRP at once when the call returns a failure, so a completion
// that came later would write to freed memory.
func (o *ovpn) syncOp(what string, op func(irp *wsk.IRP) wsk.NTSTATUS, success func(irp *wsk.IRP)) wsk.NTSTATUS {
	irp, done := wsk.AllocateIRP(), newEvent()
	c := o.audit.arm(irp, what, setEvent, done)
	status := c.returns(op(irp))
	if !status.Success() {
		*irp = wsk.IRP{} // IoFreeIrp
		return status
	}
	if status == wsk.STATUS_PENDING {
		done.wait(o.t, what)
		if status = irp.IoStatus.Status; !status.Success() {
			*irp = wsk.IRP{}
			return status
		}
	}
	if success != nil {
		success(irp)
	}
	*irp = wsk.IRP{}
	return status
}

// open makes the socket. An AF_INET6 one is dual-stack and takes IPv4 peers v4-mapped. remote may be invalid.
func (o *ovpn) open(family uint16, local, remote netip.AddrPort) wsk.NTSTATUS {
	dispatch := &wsk.ClientDatagramDispatch{ReceiveFromEvent: ovpnReceive}
	status := o.syncOp("CreateSocket", func(irp *wsk.IRP) wsk.NTSTATUS {
		return o.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, o, dispatch, nil, nil, nil, irp)
	}, func(irp *wsk.IRP) { o.socket = irp.IoStatus.Socket })
	if status.Success() && family == wsk.AF_INET6 {
		off := make([]byte, 4)
		status = o.syncOp("SetV6Only", func(irp *wsk.IRP) wsk.NTSTATUS {
			return o.socket.ControlSocket(wsk.WskSetOption, wsk.IPV6_V6ONLY, wsk.IPPROTO_IPV6, off, nil, nil, irp)
		}, nil)
	}
	address := wsk.NewSockaddr(local)
	if status.Success() {
		status = o.syncOp("BindSocket", func(irp *wsk.IRP) wsk.NTSTATUS { return o.socket.Bind(address, 0, irp) }, nil)
	}
	if status.Success() {
		status = o.syncOp("GetLocalAddr", func(irp *wsk.IRP) wsk.NTSTATUS { return o.socket.GetLocalAddress(address, irp) }, nil)
		o.local, _ = address.AddrPort()
	}
	if status.Success() && remote.IsValid() {
		status = o.setRemote(remote)
	}
	if status.Success() { // the last step has no IRP
		status = o.socket.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET,
			wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil)
	}
	if status != wsk.STATUS_SUCCESS {
		o.close()
	}
	return status
}

func (o *ovpn) setRemote(remote netip.AddrPort) wsk.NTSTATUS {
	return o.syncOp("SetRemote", func(irp *wsk.IRP) wsk.NTSTATUS {
		return o.socket.ControlSocket(wsk.WskIoctl, wsk.SIO_WSK_SET_REMOTE_ADDRESS, 0, wsk.NewSockaddr(remote), nil, nil, irp)
	}, nil)
}

func (o *ovpn) close() {
	if o.socket == nil {
		return
	}
	if status := o.syncOp("CloseSocket", o.socket.Close, nil); status != wsk.STATUS_SUCCESS {
		o.t.Errorf("CloseSocket: %v", status)
	}
	o.socket = nil
}

// ovpnReceive looks at the MDL before it looks at the length, also for an empty datagram.
func ovpnReceive(context any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
	o := context.(*ovpn)
	for ; list != nil; list = list.Next {
		_ = list.Buffer.Mdl.Bytes()[list.Buffer.Offset:]
		o.received <- contiguous(&list.Buffer)
	}
	return wsk.STATUS_SUCCESS
}

// ovpnBuffer is a transmit buffer. Its one MDL covers the whole structure with its own fields, so that the data begin
// at a large offset.
type ovpnBuffer struct {
	owner  *ovpn
	mdl    *wsk.MDL
	whole  []byte
	length int
	freed  bool
}

// Sizes within a transmit buffer: the fields of the structure, and the room for headers in front of the data.
const (
	ovpnFields   = 88
	ovpnHeadroom = 128
	ovpnCapacity = 2048
)

func (o *ovpn) newBuffer(payload []byte) *ovpnBuffer {
	o.buffers.Add(1)
	b := &ovpnBuffer{owner: o, whole: make([]byte, ovpnFields+ovpnHeadroom+ovpnCapacity), length: len(payload)}
	scribble(b.whole)
	copy(b.whole[ovpnFields+ovpnHeadroom:], payload)
	b.mdl = wsk.AllocateMDL(b.whole)
	return b
}

// ovpnSent returns the buffer to its pool and frees the IRP, in any case.
func ovpnSent(irp *wsk.IRP, context any) wsk.NTSTATUS {
	b := context.(*ovpnBuffer)
	o := b.owner
	if irp.IoStatus.Status == wsk.STATUS_SUCCESS {
		o.sent.Add(1)
		o.bytesSent.Add(int64(irp.IoStatus.Information))
	} else {
		o.lost.Add(1)
	}
	if b.freed {
		o.t.Error("a transmit buffer is freed twice")
	}
	b.freed = true
	scribble(b.whole)
	*b.mdl = wsk.MDL{}
	*irp = wsk.IRP{}
	o.freed.Add(1)
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// send passes a WSK_BUF on the stack, and no address.
func (o *ovpn) send(b *ovpnBuffer) wsk.NTSTATUS {
	irp := wsk.AllocateIRP()
	c := o.audit.arm(irp, "WskSendTo", ovpnSent, b)
	stack := wsk.Buf{Mdl: b.mdl, Offset: ovpnFields + ovpnHeadroom, Length: uintptr(b.length)}
	status := c.returns(o.socket.SendTo(&stack, 0, nil, nil, irp))
	stack = wsk.Buf{Offset: 0xDDDDDDDD, Length: 0xDDDDDDDD}
	return status
}

func newOvpn(t *testing.T, r *rig) *ovpn {
	t.Helper()
	o := &ovpn{t: t, audit: &r.audit, received: make(chan []byte, 4096)}
	r.register(&o.registration, &o.npi)
	return o
}

func (o *ovpn) finish() {
	o.t.Helper()
	o.close()
	wsk.ReleaseProviderNPI(&o.registration)
	wsk.Deregister(&o.registration)
	if made, freed := o.buffers.Load(), o.freed.Load(); made != freed {
		o.t.Errorf("%d of %d transmit buffers freed", freed, made)
	}
}
