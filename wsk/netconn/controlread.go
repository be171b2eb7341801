// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// readControl translates received control data into Linux control messages. It returns the number of bytes of oob that
// it has used, and the MSG_ flags of Linux for the datagram.
func (o *op) readControl(oob []byte) (n, flags int) {
	w := oobWriter{b: oob}
	it := wsk.CMsgs(o.control[:o.length])
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		translateReceived(&w, m, o.flags)
	}
	if o.flags&wsk.MSG_TRUNC != 0 {
		flags |= linuxMsgTrunc
	}
	if w.truncated || o.flags&wsk.MSG_CTRUNC != 0 {
		flags |= linuxMsgCTrunc
	}
	return w.used, flags
}

// translateReceived stores one object of a receive with these flags, if Linux has it.
func translateReceived(w *oobWriter, m wsk.CMsg, flags uint32) {
	if len(m.Data) < 4 { // all that are known here have at least an INT
		return
	}
	switch {
	case m.Level == wsk.IPPROTO_IP && m.Type == wsk.IP_PKTINFO && len(m.Data) >= 8:
		data := w.add(linuxSolIP, linuxIPPktinfo, sizeofInPktinfo)
		if data == nil {
			return
		}
		binary.NativeEndian.PutUint32(data, binary.LittleEndian.Uint32(m.Data[4:]))
		copy(data[4:8], m.Data)
		copy(data[8:12], m.Data)
		// Multicast and broadcasts can't be the source of an answer. The kernel has the address there that an answer leaves
		// from, and it does without it, too.
		if m.Data[0] >= 224 || flags&wsk.MSG_BCAST != 0 {
			clear(data[4:8])
		}
	case m.Level == wsk.IPPROTO_IPV6 && m.Type == wsk.IPV6_PKTINFO && len(m.Data) >= 20:
		if data := w.add(linuxSolIPv6, linuxIPv6Pktinfo, sizeofIn6Pktinfo); data != nil {
			copy(data[:16], m.Data)
			binary.NativeEndian.PutUint32(data[16:], binary.LittleEndian.Uint32(m.Data[16:]))
		}
	case m.Level == wsk.IPPROTO_IP && m.Type == wsk.IP_TTL:
		w.addInt(linuxSolIP, linuxIPTTL, binary.LittleEndian.Uint32(m.Data))
	case m.Level == wsk.IPPROTO_IPV6 && m.Type == wsk.IPV6_HOPLIMIT:
		w.addInt(linuxSolIPv6, linuxIPv6HopLimit, binary.LittleEndian.Uint32(m.Data))
	case m.Level == wsk.IPPROTO_IP && m.Type == wsk.IP_TOS:
		if data := w.add(linuxSolIP, linuxIPTOS, 1); data != nil {
			data[0] = m.Data[0]
		}
	case m.Level == wsk.IPPROTO_IPV6 && m.Type == wsk.IPV6_TCLASS:
		w.addInt(linuxSolIPv6, linuxIPv6TClass, binary.LittleEndian.Uint32(m.Data))
	case m.Level == wsk.IPPROTO_UDP && m.Type == wsk.UDP_COALESCED_INFO:
		w.addInt(linuxSolUDP, linuxUDPGRO, binary.LittleEndian.Uint32(m.Data))
	}
}
