// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// appendControl writes an operation's control data in the form of Linux, which shares nothing but its header with that
// of Windows: TTL, TOS, and source address and interface where they are prescribed.
func appendControl(b []byte, op *wsk.SendOp, local netip.Addr) []byte {
	to := &op.To
	source := to.SourceIP()
	isHost := local.IsValid() && !local.IsUnspecified() && !local.IsMulticast()
	if !source.IsValid() && isHost && local.Is4() == to.Is4() {
		source = local
	}
	if to.Is4() {
		b = appendInt(b, unix.IPPROTO_IP, unix.IP_TTL, int(to.TTL))
		b = appendInt(b, unix.IPPROTO_IP, unix.IP_TOS, int(to.TOS))
		if source.IsValid() || to.IfIndex != 0 {
			var info [unix.SizeofInet4Pktinfo]byte // ifindex, spec_dst, addr
			binary.NativeEndian.PutUint32(info[0:], to.IfIndex)
			if source.IsValid() {
				a := source.As4()
				copy(info[4:], a[:])
			}
			b = appendCmsg(b, unix.IPPROTO_IP, unix.IP_PKTINFO, info[:])
		}
		return b
	}
	b = appendInt(b, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, int(to.TTL))
	b = appendInt(b, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(to.TOS))
	if source.IsValid() || to.IfIndex != 0 {
		var info [unix.SizeofInet6Pktinfo]byte // addr, ifindex
		if source.IsValid() {
			a := source.As16()
			copy(info[:], a[:])
		}
		binary.NativeEndian.PutUint32(info[16:], to.IfIndex)
		b = appendCmsg(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, info[:])
	}
	return b
}

func appendInt(b []byte, level, typ, value int) []byte {
	var v [4]byte
	binary.NativeEndian.PutUint32(v[:], uint32(value))
	return appendCmsg(b, level, typ, v[:])
}

// appendCmsg appends one struct cmsghdr (socket(7), cmsg(3)) with its padding.
func appendCmsg(b []byte, level, typ int, data []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(len(data)))...)
	h := b[start:]
	binary.NativeEndian.PutUint64(h[0:], uint64(unix.CmsgLen(len(data))))
	binary.NativeEndian.PutUint32(h[8:], uint32(level))
	binary.NativeEndian.PutUint32(h[12:], uint32(typ))
	copy(h[unix.CmsgLen(0):], data)
	return b
}

func zoneOf(ifindex uint32) string { return strconv.FormatUint(uint64(ifindex), 10) }
