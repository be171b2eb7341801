// SPDX-License-Identifier: Apache-2.0

// Package ipaddr is IP addresses in 16 bytes, as wsk has them in its structures. IPv4 addresses are v4-mapped there
// (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), and what follows from that for every question about an address is here.
package ipaddr

import (
	"encoding/binary"
	"net/netip"
)

// Words are the 16 bytes of an address, in network byte order, as two numbers that stay in registers.
type Words struct{ High, Low uint64 }

// mapped is the upper half of the low word of every v4-mapped address; the high word is 0.
const mapped = 0xffff

// Load reads an address.
func Load(a *[16]byte) Words {
	return Words{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
}

// Load4 reads the four bytes of an IPv4 address at the beginning of b.
func Load4(b []byte) Words {
	return Words{Low: mapped<<32 | uint64(binary.BigEndian.Uint32(b))}
}

// Store writes the address.
func (w Words) Store(a *[16]byte) {
	binary.BigEndian.PutUint64(a[:8], w.High)
	binary.BigEndian.PutUint64(a[8:], w.Low)
}

// IsScoped reports the IPv6 addresses that mean something on one link only, so that a scope belongs to them: fe80::/10,
// and the groups of an interface or a link.
func (w Words) IsScoped() bool {
	scope := w.High >> 48 & 0xff0f
	return w.IsLinkLocal6() || scope == 0xff01 || scope == 0xff02
}

// Is4 reports an IPv4 address.
func (w Words) Is4() bool { return w.High == 0 && w.Low>>32 == mapped }

// IsUnspecified reports 0.0.0.0 and ::.
func (w Words) IsUnspecified() bool { return w.High == 0 && (w.Low == 0 || w.Low == mapped<<32) }

// IsMulticast reports 224.0.0.0/4 and ff00::/8.
func (w Words) IsMulticast() bool {
	if w.Is4() {
		return uint32(w.Low)>>28 == 0xe
	}
	return w.High>>56 == 0xff
}

// IsLimitedBroadcast reports 255.255.255.255.
func (w Words) IsLimitedBroadcast() bool { return w.High == 0 && w.Low == mapped<<32|0xffffffff }

// IsLinkLocal6 reports fe80::/10, whose addresses mean something on one link only.
func (w Words) IsLinkLocal6() bool { return w.High>>54 == 0xfe80>>6 }

// Is4 reports an IPv4 address.
func Is4(a *[16]byte) bool { return Load(a).Is4() }

// From4 is the v4-mapped form of the four bytes at the beginning of b.
func From4(b []byte) (a [16]byte) {
	Load4(b).Store(&a)
	return a
}

// Addr is the address in Go's form, an IPv4 one as such.
func Addr(a [16]byte) netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Last is the address of an IPv4 network with all host bits set: its directed broadcast address, where it has one.
func Last(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// Unmap is ap with an IPv4 address as such; a zone stays.
func Unmap(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Map is ap with an IPv4 address in its v4-mapped form. An IPv6 address stays as it is.
func Map(ap netip.AddrPort) netip.AddrPort {
	if !ap.Addr().Is4() {
		return ap
	}
	return netip.AddrPortFrom(netip.AddrFrom16(ap.Addr().As16()), ap.Port())
}
