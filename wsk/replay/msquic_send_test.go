// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// quicBlock is the send data: the IRP, and one or several buffers. The completion routine frees it in any case.
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

// quicBuffer includes its list node and its MDL. The MDL is as large as the memory behind it; the Length of the node
// counts.
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

// newBlock allocates from the lookaside list, so that blocks are used again as soon as they have been freed.
func (q *quic) newBlock(segment uint32, ecn, dscp uint8) *quicBlock {
	s := quicPool.Get().(*quicBlock)
	s.freed.Store(false)
	s.irp = wsk.IRP{} // IoInitializeIrp
	s.quic, s.first, s.buffers, s.segment, s.ecn, s.dscp = q, nil, s.buffers[:0], segment, ecn, dscp
	q.blocks.Add(1)
	return s
}

// add appends a packet: behind the others in the large buffer if that will be cut again, else as a node of its own.
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

// send sends a block from one address to another. What the call returns is only logged.
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
