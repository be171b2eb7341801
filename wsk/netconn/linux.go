// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"encoding/binary"
	"strconv"
	"syscall"
)

// Numbers of Linux, written out because package syscall has them on Linux only. They differ from those of Windows,
// whose names are in package wsk.
const (
	linuxMsgCTrunc     = 0x8     // MSG_CTRUNC (linux/socket.h)
	linuxMsgTrunc      = 0x20    // MSG_TRUNC
	linuxMsgDontWait   = 0x40    // MSG_DONTWAIT
	linuxMsgWaitForOne = 0x10000 // MSG_WAITFORONE

	linuxSolIP     = 0  // SOL_IP (linux/socket.h)
	linuxSolSocket = 1  // SOL_SOCKET
	linuxSolUDP    = 17 // SOL_UDP
	linuxSolIPv6   = 41 // SOL_IPV6

	linuxSCMRights      = 1 // SCM_RIGHTS (linux/socket.h)
	linuxSCMCredentials = 2 // SCM_CREDENTIALS

	linuxIPTOS     = 1 // IP_TOS (linux/in.h): one byte when received; an int or a byte when sent
	linuxIPTTL     = 2 // IP_TTL: an int
	linuxIPPktinfo = 8 // IP_PKTINFO: struct in_pktinfo

	linuxIPv6Pktinfo  = 50 // IPV6_PKTINFO (linux/in6.h): struct in6_pktinfo
	linuxIPv6HopLimit = 52 // IPV6_HOPLIMIT: an int
	linuxIPv6TClass   = 67 // IPV6_TCLASS: an int

	linuxUDPSegment = 103 // UDP_SEGMENT (linux/udp.h): a u16
	linuxUDPGRO     = 104 // UDP_GRO: an int
)

// errNoNet is ENONET (asm-generic/errno.h).
const errNoNet = syscall.Errno(64)

// struct in_pktinfo { int ipi_ifindex; struct in_addr ipi_spec_dst, ipi_addr; } and
// struct in6_pktinfo { struct in6_addr ipi6_addr; int ipi6_ifindex; }.
const (
	sizeofInPktinfo  = 12
	sizeofIn6Pktinfo = 20
)

// struct cmsghdr { size_t cmsg_len; int cmsg_level, cmsg_type; }, and what its objects are aligned to.
const (
	linuxWord    = strconv.IntSize / 8
	linuxCMsgHdr = linuxWord + 8
)

func linuxCMsgLen(n int) int   { return linuxCMsgHdr + n }
func linuxCMsgSpace(n int) int { return (linuxCMsgHdr + n + linuxWord - 1) &^ (linuxWord - 1) }

// linuxCMsg is one control message.
type linuxCMsg struct {
	level, typ int32
	data       []byte
}

// nextLinuxCMsg takes the first message off b. ok is false at the end, and also if a length is less than a header or
// reaches beyond the end, which Linux refuses with EINVAL; malformed is true then.
func nextLinuxCMsg(b []byte) (m linuxCMsg, rest []byte, ok, malformed bool) {
	if len(b) < linuxCMsgHdr {
		return m, nil, false, false
	}
	var n uint64
	if linuxWord == 8 {
		n = binary.NativeEndian.Uint64(b)
	} else {
		n = uint64(binary.NativeEndian.Uint32(b))
	}
	if n < linuxCMsgHdr || n > uint64(len(b)) {
		return m, nil, false, true
	}
	m.level = int32(binary.NativeEndian.Uint32(b[linuxWord:]))
	m.typ = int32(binary.NativeEndian.Uint32(b[linuxWord+4:]))
	m.data = b[linuxCMsgHdr:n:n]
	return m, b[min(uint64(linuxCMsgSpace(len(m.data))), uint64(len(b))):], true, false
}

// oobWriter stores control messages in a caller's buffer, whole ones only.
type oobWriter struct {
	b         []byte
	used      int
	truncated bool // something did not fit
}

// add stores a header and returns where n bytes of data go, or nil when there is no room.
func (w *oobWriter) add(level, typ int32, n int) []byte {
	free := w.b[w.used:]
	if w.truncated || len(free) < linuxCMsgLen(n) {
		w.truncated = true
		return nil
	}
	if linuxWord == 8 {
		binary.NativeEndian.PutUint64(free, uint64(linuxCMsgLen(n)))
	} else {
		binary.NativeEndian.PutUint32(free, uint32(linuxCMsgLen(n)))
	}
	binary.NativeEndian.PutUint32(free[linuxWord:], uint32(level))
	binary.NativeEndian.PutUint32(free[linuxWord+4:], uint32(typ))
	whole := min(linuxCMsgSpace(n), len(free)) // the padding of the last one may be missing
	clear(free[linuxCMsgLen(n):whole])
	w.used += whole
	return free[linuxCMsgHdr:linuxCMsgLen(n)]
}

func (w *oobWriter) addInt(level, typ int32, v uint32) {
	if data := w.add(level, typ, 4); data != nil {
		binary.NativeEndian.PutUint32(data, v)
	}
}
