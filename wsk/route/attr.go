// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// Attributes of rtnetlink messages: a 4-byte header {length including itself, type} in host byte order, the payload,
// padding to 4 bytes (linux/netlink.h, struct nlattr; linux/rtnetlink.h, struct rtattr).

const (
	attrHeader = 4
	// attrTypeMask takes NLA_F_NESTED and NLA_F_NET_BYTEORDER off the type.
	attrTypeMask = 0x3fff
)

// attr is one attribute; value aliases the message.
type attr struct {
	typ   uint16
	value []byte
}

// nextAttr takes the first attribute off b. ok is false at the end and at the first malformed attribute; what follows a
// malformed one can't be trusted.
func nextAttr(b []byte) (a attr, rest []byte, ok bool) {
	if len(b) < attrHeader {
		return attr{}, nil, false
	}
	n := int(binary.NativeEndian.Uint16(b))
	if n < attrHeader || n > len(b) {
		return attr{}, nil, false
	}
	a = attr{binary.NativeEndian.Uint16(b[2:]) & attrTypeMask, b[attrHeader:n:n]}
	return a, b[min((n+3)&^3, len(b)):], true
}

// each calls fn for every attribute of b.
func each(b []byte, fn func(attr)) {
	for {
		a, rest, ok := nextAttr(b)
		if !ok {
			return
		}
		fn(a)
		b = rest
	}
}

// u8, u16 and u32 read a number in host byte order; a payload that is too short reads as 0.
func (a attr) u8() uint8 {
	if len(a.value) < 1 {
		return 0
	}
	return a.value[0]
}

func (a attr) u16() uint16 {
	if len(a.value) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(a.value)
}

// be16 reads a number in network byte order.
func (a attr) be16() uint16 {
	if len(a.value) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(a.value)
}

func (a attr) u32() uint32 {
	if len(a.value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(a.value)
}

// index reads an interface index or a size, which the kernel keeps in an int32; a negative one reads as 0.
func (a attr) index() int { return max(int(int32(a.u32())), 0) }

func (a attr) text() string {
	s, _, _ := strings.Cut(string(a.value), "\x00")
	return s
}

// addr reads an IPv4 or IPv6 address, told apart by the length.
func (a attr) addr() netip.Addr {
	ip, _ := netip.AddrFromSlice(a.value)
	return ip
}

// message builds the body of a request.
type message []byte

func (m message) u8(v ...uint8) message { return append(m, v...) }
func (m message) u16(v uint16) message  { return binary.NativeEndian.AppendUint16(m, v) }
func (m message) u32(v uint32) message  { return binary.NativeEndian.AppendUint32(m, v) }
func (m message) align() message        { return append(m, make([]byte, -len(m)&3)...) }
func (m message) attr(t uint16, v []byte) message {
	return append(m.u16(uint16(attrHeader+len(v))).u16(t), v...).align()
}

// attrBE16 adds a number in network byte order.
func (m message) attrBE16(t, v uint16) message {
	return m.attr(t, binary.BigEndian.AppendUint16(nil, v))
}

func (m message) attr32(t uint16, v uint32) message {
	return m.attr(t, binary.NativeEndian.AppendUint32(nil, v))
}
