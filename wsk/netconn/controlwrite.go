// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// errControl is what Linux says to control messages that it does not take.
var errControl = os.NewSyscallError("sendmsg", syscall.EINVAL)

// writeControl translates Linux control messages for a send into control data, by the rules of ip_cmsg_send and
// ip6_datagram_send_ctl: messages of the other IP version are skipped, unknown ones of the destination's are an error.
// An error wraps syscall.EINVAL. The result is in the op's own memory or, if there are very many messages, in new
// memory.
func (o *op) writeControl(oob []byte, is4 bool) ([]byte, error) {
	control := o.control[:0]
	for rest := oob; ; {
		m, next, ok, malformed := nextLinuxCMsg(rest)
		if malformed {
			return nil, fmt.Errorf("parse control messages: length of the one at byte %d: %w", len(oob)-len(rest), errControl)
		}
		if !ok {
			o.control = control[:cap(control)]
			return control, nil
		}
		var valid bool
		switch {
		case m.level == linuxSolIP && is4:
			control, valid = appendIPv4(control, m)
		case m.level == linuxSolIPv6:
			control, valid = appendIPv6(control, m, is4)
		case m.level == linuxSolSocket:
			valid = m.typ == linuxSCMRights || m.typ == linuxSCMCredentials // which mean nothing here
		case m.level == linuxSolUDP:
			control, valid = appendUDP(control, m)
		default:
			valid = true
		}
		if !valid {
			return nil, fmt.Errorf("translate control message level %d type %d with %d bytes: %w", m.level, m.typ, len(m.data), errControl)
		}
		rest = next
	}
}

func appendIPv4(control []byte, m linuxCMsg) ([]byte, bool) {
	switch m.typ {
	case linuxIPPktinfo:
		if len(m.data) != sizeofInPktinfo {
			return control, false
		}
		// ipi_spec_dst is the source; ipi_addr matters when receiving only.
		index := binary.NativeEndian.Uint32(m.data)
		return wsk.AppendPktinfo(control, netip.AddrFrom4([4]byte(m.data[4:])), index), true
	case linuxIPTTL:
		v, ok := m.int()
		if !ok || v < 1 || v > 255 {
			return control, false
		}
		return wsk.AppendTTL(control, true, uint8(v)), true
	case linuxIPTOS:
		v, ok := m.int()
		if len(m.data) == 1 {
			v, ok = int32(m.data[0]), true
		}
		if !ok || v < 0 || v > 255 {
			return control, false
		}
		return wsk.AppendTOS(control, true, uint8(v)), true
	}
	return control, false
}

// appendIPv6 is called for IPv4 destinations of a dual-stack socket too: Linux takes a v4-mapped source for them from
// IPV6_PKTINFO, and skips everything else of this level.
func appendIPv6(control []byte, m linuxCMsg, is4 bool) ([]byte, bool) {
	if is4 && m.typ != linuxIPv6Pktinfo {
		return control, true
	}
	switch m.typ {
	case linuxIPv6Pktinfo:
		if len(m.data) < sizeofIn6Pktinfo {
			return control, false
		}
		source := netip.AddrFrom16([16]byte(m.data))
		if is4 {
			if source.IsUnspecified() {
				source = netip.IPv4Unspecified()
			} else if !source.Is4In6() {
				return control, false
			}
		}
		return wsk.AppendPktinfo(control, source, binary.NativeEndian.Uint32(m.data[16:])), true
	case linuxIPv6HopLimit, linuxIPv6TClass:
		v, ok := m.int()
		switch {
		case !ok || v < -1 || v > 255:
			return control, false
		case v == -1: // the socket's own
			return control, true
		case m.typ == linuxIPv6TClass:
			return wsk.AppendTOS(control, false, uint8(v)), true
		case v == 0: // WSK can't send with hop limit 0; 1 gets as far, to the hosts of the link
			v = 1
		}
		return wsk.AppendTTL(control, false, uint8(v)), true
	}
	return control, false
}

func appendUDP(control []byte, m linuxCMsg) ([]byte, bool) {
	if m.typ != linuxUDPSegment || len(m.data) != 2 {
		return control, false
	}
	return wsk.AppendSendMsgSize(control, uint32(binary.NativeEndian.Uint16(m.data))), true
}

// int is the data of a message that consists of an int.
func (m linuxCMsg) int() (int32, bool) {
	if len(m.data) != 4 {
		return 0, false
	}
	return int32(binary.NativeEndian.Uint32(m.data)), true
}
