// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

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
	if b.quic.retain {
		return b.keep(list)
	}
	for node := list; node != nil; node = node.Next {
		b.indicated(node)
	}
	return wsk.STATUS_SUCCESS
}

// quicKept is an indication whose packets are with the layers above.
type quicKept struct {
	socket *wsk.Socket
	node   *wsk.DatagramIndication
}

// keep cuts the list apart. The useless ones are linked anew and given back before the callback returns.
func (b *quicBinding) keep(list *wsk.DatagramIndication) wsk.NTSTATUS {
	var drop *wsk.DatagramIndication
	tail := &drop
	for list != nil {
		node := list
		list = list.Next
		node.Next = nil
		if b.indicated(node) == 0 {
			*tail = node
			tail = &node.Next
		} else {
			b.quic.returns <- quicKept{b.socket, node}
		}
	}
	if drop != nil {
		b.quic.give(b.socket, drop)
	}
	return wsk.STATUS_PENDING
}

func (q *quic) give(socket *wsk.Socket, list *wsk.DatagramIndication) {
	if status := socket.Release(list); status != wsk.STATUS_SUCCESS {
		q.t.Errorf("WskRelease: %v", status)
	}
}

// returnLoop gives indications back as their packets come back from above: several of one socket at a time, linked.
func (q *quic) returnLoop() {
	for kept := range q.returns {
		for n := len(q.returns); n > 0; n-- {
			more := <-q.returns
			if more.socket != kept.socket {
				q.give(kept.socket, kept.node)
				kept = more
				continue
			}
			more.node.Next = kept.node
			kept.node = more.node
		}
		q.give(kept.socket, kept.node)
	}
}

// indicated takes one indication apart: control data, then the messages of equal size that it consists of. Like the
// client it drops one that has no address or is not contiguous. It returns the number of messages.
func (b *quicBinding) indicated(node *wsk.DatagramIndication) (messages int) {
	if node.Buffer.Mdl == nil || node.Buffer.Length == 0 && node.ControlInfo == nil {
		return 0
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
				return 0
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
		return 0
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
		messages++
	}
	return messages
}
