// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// quic is the datapath of msquic for Windows kernel mode, as far as it calls WSK (wsk.md §9.1).
type quic struct {
	t            *testing.T
	audit        *audit
	registration wsk.Registration
	npi          wsk.ProviderNPI
	dispatch     wsk.ClientDatagramDispatch

	// Features, as the probes found them.
	segmentation, coalescing, dscp bool

	blocks, blocksFreed atomic.Int64

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

// quicConfig is what a binding is asked to be.
type quicConfig struct {
	local, remote  netip.AddrPort // invalid: any, and not connected
	interfaceIndex uint32
	owner          *wsk.EPROCESS
}

// maxCoalesced is MAX_URO_PAYLOAD_LENGTH.
const maxCoalesced = 65527

func newQuic(t *testing.T, r *rig) *quic {
	t.Helper()
	q := &quic{t: t, audit: &r.audit}
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

// close blocks until every binding that was deleted has gone.
func (q *quic) close() {
	wsk.ReleaseProviderNPI(&q.registration)
	wsk.Deregister(&q.registration)
}

// probe is a basic socket with the one IRP and event that serve all of its calls.
type probe struct {
	quic   *quic
	irp    wsk.IRP
	event  event
	socket *wsk.Socket
}

func (q *quic) openProbe(socketType uint16, protocol uint32) (*probe, wsk.NTSTATUS) {
	p := &probe{quic: q, event: newEvent()}
	c := q.audit.arm(&p.irp, "WskSocket (probe)", setEvent, p.event)
	status := c.returns(q.npi.Socket(wsk.AF_INET6, socketType, protocol, wsk.WSK_FLAG_BASIC_SOCKET, nil, nil, nil, nil, nil, &p.irp))
	if status == wsk.STATUS_PENDING {
		p.event.wait(q.t, "WskSocket (probe)")
	} else if !status.Success() {
		return nil, status
	}
	if status = p.irp.IoStatus.Status; status.Success() {
		p.socket = p.irp.IoStatus.Socket
	}
	return p, status
}

// call makes one call on the probe's socket.
func (p *probe) call(what string, f func(irp *wsk.IRP) wsk.NTSTATUS) wsk.NTSTATUS {
	p.irp.Reuse(wsk.STATUS_SUCCESS)
	c := p.quic.audit.arm(&p.irp, what, setEvent, p.event)
	p.event.reset()
	status := c.returns(f(&p.irp))
	if status == wsk.STATUS_PENDING {
		p.event.wait(p.quic.t, what)
	} else if !status.Success() {
		return status
	}
	return p.irp.IoStatus.Status
}

func (p *probe) close() {
	if status := p.call("WskCloseSocket (probe)", p.socket.Close); !status.Success() {
		p.quic.t.Errorf("WskCloseSocket (probe): %v", status)
	}
}

// probeRSS asks a TCP socket. Any failure only means that the feature is absent.
func (q *quic) probeRSS() {
	p, status := q.openProbe(wsk.SOCK_STREAM, wsk.IPPROTO_TCP)
	if !status.Success() {
		return
	}
	defer p.close()
	var returned uintptr
	enabled := make([]byte, 1)
	p.call("SIO_QUERY_RSS_SCALABILITY_INFO", func(irp *wsk.IRP) wsk.NTSTATUS {
		return p.socket.ControlSocket(wsk.WskIoctl, wsk.SIO_QUERY_RSS_SCALABILITY_INFO, 0, nil, enabled, &returned, irp)
	})
}

func (q *quic) probeOptions() {
	p, status := q.openProbe(wsk.SOCK_DGRAM, wsk.IPPROTO_UDP)
	if !status.Success() {
		q.t.Errorf("the probing socket does not open: %v", status)
		return
	}
	defer p.close()
	var returned uintptr
	get := func(option uint32) bool {
		value := make([]byte, 4)
		return p.call("get UDP option", func(irp *wsk.IRP) wsk.NTSTATUS {
			return p.socket.ControlSocket(wsk.WskGetOption, option, wsk.IPPROTO_UDP, nil, value, &returned, irp)
		}).Success()
	}
	q.segmentation = get(wsk.UDP_SEND_MSG_SIZE)
	q.coalescing = get(wsk.UDP_RECV_MAX_COALESCED_SIZE)
	lowerEffort := binary.LittleEndian.AppendUint32(nil, 1)
	q.dscp = p.call("set IPV6_TCLASS", func(irp *wsk.IRP) wsk.NTSTATUS {
		return p.socket.ControlSocket(wsk.WskSetOption, wsk.IPV6_TCLASS, wsk.IPPROTO_IPV6, lowerEffort, nil, &returned, irp)
	}).Success()
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

// prepare is the order of options, bind, fixed address and local address.
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

// control passes a size variable along although there is an IRP, and its input is gone when it returns.
func (b *quicBinding) control(request wsk.ControlSocketType, code, level uint32, stack []byte) wsk.NTSTATUS {
	var returned uintptr
	return b.call("WskControlSocket", func(irp *wsk.IRP) wsk.NTSTATUS {
		status := b.socket.ControlSocket(request, code, level, stack, nil, &returned, irp)
		scribble(stack)
		return status
	})
}

// delete closes the socket. Who cleans up is decided by what the call returns, and by PendingReturned in the routine.
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

// quicReceive is the static callback: it copies and gives the list back at once.
func quicReceive(context any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
	if list == nil {
		return wsk.STATUS_SUCCESS
	}
	b := context.(*quicBinding)
	if !b.rundown.acquire() {
		return wsk.STATUS_DEVICE_NOT_READY
	}
	defer b.rundown.release()
	for node := list; node != nil; node = node.Next {
		b.indicated(node)
	}
	return wsk.STATUS_SUCCESS
}

// indicated takes one indication apart: control data, then the messages of equal size that it is made of. The client drops
// what has no address or is not contiguous.
func (b *quicBinding) indicated(node *wsk.DatagramIndication) {
	if node.Buffer.Mdl == nil || node.Buffer.Length == 0 && node.ControlInfo == nil {
		return
	}
	remote, _ := node.RemoteAddress.AddrPort()
	d := quicDatagram{remote: unmapped(remote)}
	message := uintptr(0)
	it := wsk.CMsgs(node.ControlInfo)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		switch [2]int32{m.Level, m.Type} {
		case [2]int32{wsk.IPPROTO_IP, wsk.IP_PKTINFO}:
			d.local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(m.Data)), b.local().Port())
			d.ifIndex = binary.LittleEndian.Uint32(m.Data[4:])
		case [2]int32{wsk.IPPROTO_IPV6, wsk.IPV6_PKTINFO}:
			d.local = unmapped(netip.AddrPortFrom(netip.AddrFrom16([16]byte(m.Data)), b.local().Port()))
			d.ifIndex = binary.LittleEndian.Uint32(m.Data[16:])
		case [2]int32{wsk.IPPROTO_IP, wsk.IP_RECVERR}, [2]int32{wsk.IPPROTO_IPV6, wsk.IPV6_RECVERR}:
			const destinationUnreachable4, destinationUnreachable6 = 3, 1
			e, _ := wsk.ParseReceiveError(m.Data)
			if m.Level == wsk.IPPROTO_IP && e.Type == destinationUnreachable4 ||
				m.Level == wsk.IPPROTO_IPV6 && e.Type == destinationUnreachable6 {
				b.quic.unreachable(b, d.remote)
				return
			}
		case [2]int32{wsk.IPPROTO_IP, wsk.IP_ECN}, [2]int32{wsk.IPPROTO_IPV6, wsk.IPV6_ECN}:
			d.ecn = int(binary.LittleEndian.Uint32(m.Data))
		case [2]int32{wsk.IPPROTO_IP, wsk.IP_TTL}, [2]int32{wsk.IPPROTO_IPV6, wsk.IPV6_HOPLIMIT}:
			d.ttl = int(binary.LittleEndian.Uint32(m.Data))
		case [2]int32{wsk.IPPROTO_UDP, wsk.UDP_COALESCED_INFO}:
			message = uintptr(binary.LittleEndian.Uint32(m.Data))
			d.coalesced = true
		}
	}
	if !d.local.IsValid() {
		b.quic.t.Errorf("datagram from %v without packet information", d.remote)
		return
	}
	if message == 0 {
		message = node.Buffer.Length
	}
	data := node.Buffer.Mdl.Bytes()[node.Buffer.Offset:][:node.Buffer.Length]
	for len(data) > 0 {
		n := min(int(message), len(data))
		d.data = slices.Clone(data[:n])
		b.quic.receive(b, d)
		data = data[n:]
	}
}

// quicBlock is the send data: the IRP, and one or a few buffers. It is freed in the completion routine in any case.
type quicBlock struct {
	irp     wsk.IRP
	quic    *quic
	first   *wsk.BufList
	buffers []*quicBuffer
	segment uint32
	ecn     uint8
	dscp    uint8
	freed   atomic.Bool
}

// quicBuffer has its list node and its MDL in itself, as large as the memory behind it; the node's Length is what counts.
type quicBuffer struct {
	link wsk.BufList
	mdl  wsk.MDL
	raw  []byte
}

// Sizes of send buffers: one datagram, and many to be cut.
const (
	quicPacketBuffer = 1500
	quicLargeBuffer  = 0xF000
)

var quicPool = sync.Pool{New: func() any { return new(quicBlock) }}

// newBlock allocates from the lookaside list, so that blocks come back as soon as they were freed.
func (q *quic) newBlock(segment uint32, ecn, dscp uint8) *quicBlock {
	s := quicPool.Get().(*quicBlock)
	s.freed.Store(false)
	s.irp = wsk.IRP{} // IoInitializeIrp
	s.quic, s.first, s.buffers, s.segment, s.ecn, s.dscp = q, nil, s.buffers[:0], segment, ecn, dscp
	q.blocks.Add(1)
	return s
}

// add appends a packet: behind the others in the large buffer when it will be cut again, else as a node of its own.
func (s *quicBlock) add(packet []byte) {
	if n := len(s.buffers); n > 0 && s.segment != 0 && s.buffers[n-1].link.Buffer.Length%uintptr(s.segment) == 0 {
		buf := s.buffers[n-1]
		buf.link.Buffer.Length += uintptr(copy(buf.raw[buf.link.Buffer.Length:], packet))
		return
	}
	size := quicPacketBuffer
	if s.segment != 0 {
		size = quicLargeBuffer
	}
	buf := &quicBuffer{raw: make([]byte, size)}
	scribble(buf.raw)
	buf.mdl.Init(buf.raw)
	buf.link.Buffer = wsk.Buf{Mdl: &buf.mdl, Length: uintptr(copy(buf.raw, packet))}
	if n := len(s.buffers); n > 0 {
		s.buffers[n-1].link.Next = &buf.link
	} else {
		s.first = &buf.link
	}
	s.buffers = append(s.buffers, buf)
}

// free is the end of a block and of the memory in it.
func (s *quicBlock) free() {
	if s.freed.Swap(true) {
		s.quic.t.Error("a send block is freed twice")
		return
	}
	s.quic.blocksFreed.Add(1)
	for _, buf := range s.buffers {
		scribble(buf.raw)
		buf.link, buf.mdl = wsk.BufList{}, wsk.MDL{}
	}
	quicPool.Put(s)
}

func quicSent(_ *wsk.IRP, context any) wsk.NTSTATUS {
	context.(*quicBlock).free()
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// send sends a block from one address to another. What it returns is only looked at to log it.
func (b *quicBinding) send(local netip.AddrPort, ifIndex uint32, remote netip.AddrPort, s *quicBlock) wsk.NTSTATUS {
	var stack struct {
		control [40 + 24 + 24]byte
		address [wsk.SizeofSockaddrIn6]byte
	}
	address := wsk.AppendSockaddr(stack.address[:0], mapped(remote))
	control := stack.control[:0]
	is4 := local.Addr().Is4()
	if !b.connected {
		control = wsk.AppendPktinfo(control, local.Addr(), ifIndex)
	}
	if s.ecn != 0 || s.dscp != 0 && b.quic.dscp {
		if b.quic.dscp {
			control = wsk.AppendTOS(control, is4, s.ecn|s.dscp<<2)
		} else {
			control = wsk.AppendECN(control, is4, s.ecn)
		}
	}
	if s.segment != 0 {
		control = wsk.AppendSendMsgSize(control, s.segment)
	}
	if b.connected {
		address = nil
	}
	c := b.quic.audit.arm(&s.irp, "WskSendMessages", quicSent, s)
	status := c.returns(b.socket.SendMessages(s.first, 0, address, control, &s.irp))
	scribble(stack.control[:])
	scribble(stack.address[:])
	return status
}
