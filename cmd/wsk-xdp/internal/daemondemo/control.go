// SPDX-License-Identifier: Apache-2.0

package daemondemo

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What the programs put into the headers, and the far side into those of its answers.
const (
	programTTL = 9
	programTOS = 0xb8
	answerTTL  = 33
	answerTOS  = 0x28
)

// control are the control messages of a datagram: TTL, TOS, and pktinfo that leaves both choices to the route.
func control(to netip.Addr) []byte {
	ttl := binary.NativeEndian.AppendUint32(nil, programTTL)
	tos := binary.NativeEndian.AppendUint32(nil, programTOS)
	if to.Is4() {
		b := message(nil, unix.IPPROTO_IP, unix.IP_TTL, ttl)
		b = message(b, unix.IPPROTO_IP, unix.IP_TOS, tos)
		return message(b, unix.IPPROTO_IP, unix.IP_PKTINFO, make([]byte, unix.SizeofInet4Pktinfo))
	}
	b := message(nil, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, ttl)
	b = message(b, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos)
	return message(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, make([]byte, unix.SizeofInet6Pktinfo))
}

// message appends one control message in the layout of Linux.
func message(b []byte, level, kind int, data []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(len(data)))...)
	binary.NativeEndian.PutUint64(b[at:], uint64(unix.CmsgLen(len(data))))
	binary.NativeEndian.PutUint32(b[at+8:], uint32(level))
	binary.NativeEndian.PutUint32(b[at+12:], uint32(kind))
	copy(b[at+unix.CmsgLen(0):], data)
	return b
}

// header is what came with a datagram.
type header struct {
	ttl, tos int
	to       netip.Addr
	ifindex  uint32
}

// parse reads the control messages that came with a datagram.
func parse(oob []byte) (h header, err error) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return h, fmt.Errorf("control messages: %w", err)
	}
	for _, m := range list {
		d := m.Data
		switch [2]int32{m.Header.Level, m.Header.Type} {
		case [2]int32{unix.IPPROTO_IP, unix.IP_TTL}, [2]int32{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT}:
			h.ttl = int(binary.NativeEndian.Uint32(d))
		case [2]int32{unix.IPPROTO_IP, unix.IP_TOS}:
			h.tos = int(d[0])
		case [2]int32{unix.IPPROTO_IPV6, unix.IPV6_TCLASS}:
			h.tos = int(binary.NativeEndian.Uint32(d))
		case [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO}:
			h.ifindex, h.to = binary.NativeEndian.Uint32(d), netip.AddrFrom4([4]byte(d[8:]))
		case [2]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO}:
			h.to, h.ifindex = netip.AddrFrom16([16]byte(d)), binary.NativeEndian.Uint32(d[16:])
		}
	}
	return h, nil
}
