// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package rtattr reads the attributes of rtnetlink messages: a 4-byte header {length including itself, type} in host byte order,
// the payload, padding to 4 bytes (linux/netlink.h, struct nlattr; linux/rtnetlink.h, struct rtattr). Nothing is copied and
// nothing is allocated.
package rtattr

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

const (
	// Header is the length of what goes before the payload.
	Header = 4
	// typeMask takes NLA_F_NESTED and NLA_F_NET_BYTEORDER off the type.
	typeMask = 0x3fff
)

// Attr is one attribute; Value aliases the message.
type Attr struct {
	Type  uint16
	Value []byte
}

// Next takes the first attribute off b. ok is false at the end and at the first malformed attribute; what follows a
// malformed one can't be trusted.
func Next(b []byte) (a Attr, rest []byte, ok bool) {
	if len(b) < Header {
		return Attr{}, nil, false
	}
	n := int(binary.NativeEndian.Uint16(b))
	if n < Header || n > len(b) {
		return Attr{}, nil, false
	}
	a = Attr{binary.NativeEndian.Uint16(b[2:]) & typeMask, b[Header:n:n]}
	return a, b[min((n+3)&^3, len(b)):], true
}

// Each calls fn for every attribute of b.
func Each(b []byte, fn func(Attr)) {
	for {
		a, rest, ok := Next(b)
		if !ok {
			return
		}
		fn(a)
		b = rest
	}
}

// U8 reads a number; like those of the other methods, a payload that is too short reads as 0.
func (a Attr) U8() uint8 {
	if len(a.Value) < 1 {
		return 0
	}
	return a.Value[0]
}

// U16 reads a number in host byte order.
func (a Attr) U16() uint16 {
	if len(a.Value) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(a.Value)
}

// BE16 reads a number in network byte order.
func (a Attr) BE16() uint16 {
	if len(a.Value) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(a.Value)
}

// U32 reads a number in host byte order.
func (a Attr) U32() uint32 {
	if len(a.Value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(a.Value)
}

// Index reads an interface index or a size, which the kernel keeps in an int32; a negative one reads as 0.
func (a Attr) Index() int { return max(int(int32(a.U32())), 0) }

// Text reads a string up to its zero byte.
func (a Attr) Text() string {
	s, _, _ := strings.Cut(string(a.Value), "\x00")
	return s
}

// Addr reads an IPv4 or IPv6 address, told apart by the length.
func (a Attr) Addr() netip.Addr {
	ip, _ := netip.AddrFromSlice(a.Value)
	return ip
}
