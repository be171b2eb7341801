// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"net/netip"
)

// Where things lie in an untagged frame; a tag moves everything but the MAC addresses by 4.
const (
	offEtherType = 12
	offIP        = 14
	offUDP4      = offIP + 20
	offUDP6      = offIP + 40
)

// datagram describes a valid frame; the tests then spoil one thing in its bytes.
type datagram struct {
	src, dst netip.AddrPort
	tags     []uint16 // 802.1Q tag control information, outermost first
	payload  int
}

var (
	from4 = netip.MustParseAddrPort("10.77.0.1:1234")
	from6 = netip.MustParseAddrPort("[fd77::1]:1234")
)

// to returns a datagram with 16 bytes of payload to the destination.
func to(dst string) datagram {
	d := datagram{src: from4, dst: netip.MustParseAddrPort(dst), payload: 16}
	if d.dst.Addr().Is6() {
		d.src = from6
	}
	return d
}

func (d datagram) tagged(tags ...uint16) datagram { d.tags = tags; return d }
func (d datagram) sized(payload int) datagram     { d.payload = payload; return d }
func (d datagram) from(src string) datagram {
	d.src = netip.AddrPortFrom(netip.MustParseAddr(src), d.src.Port())
	return d
}

// bytes lays the frame out. Checksums are not computed, since the program does not look at them; they only are not 0.
func (d datagram) bytes() []byte {
	be := binary.BigEndian
	b := append([]byte{2, 0x77, 0, 0, 0, 0x0b}, 2, 0x77, 0, 0, 0, 0x0a)
	for _, tag := range d.tags {
		b = be.AppendUint16(be.AppendUint16(b, 0x8100), tag)
	}
	if d.dst.Addr().Is4() {
		b = be.AppendUint16(b, 0x0800)
		b = append(b, 0x45, 0)
		b = be.AppendUint16(b, uint16(20+8+d.payload))
		b = append(b, 0xab, 0xcd, 0x40, 0, 64, 17, 0xc5, 0xc5)
	} else {
		b = be.AppendUint16(b, 0x86dd)
		b = append(b, 0x60, 0, 0, 0)
		b = be.AppendUint16(b, uint16(8+d.payload))
		b = append(b, 17, 64)
	}
	b = append(append(b, d.src.Addr().AsSlice()...), d.dst.Addr().AsSlice()...)
	b = be.AppendUint16(b, d.src.Port())
	b = be.AppendUint16(b, d.dst.Port())
	b = be.AppendUint16(b, uint16(8+d.payload))
	b = append(b, 0xc5, 0xc5)
	for i := range d.payload {
		b = append(b, byte(i))
	}
	return b
}

// set overwrites bytes at an offset.
func set(off int, with ...byte) func([]byte) []byte {
	return func(b []byte) []byte { copy(b[off:], with); return b }
}

// set16 overwrites a number in network byte order.
func set16(off int, v int) func([]byte) []byte {
	return set(off, byte(v>>8), byte(v))
}

// both makes two changes.
func both(f, g func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte { return g(f(b)) }
}

// pad appends bytes that no length counts, as Ethernet does to short frames.
func pad(n int) func([]byte) []byte {
	return func(b []byte) []byte { return append(b, make([]byte, n)...) }
}

// grow pads, and adds as much to the 16-bit lengths at the offsets.
func grow(n int, offs ...int) func([]byte) []byte {
	return func(b []byte) []byte {
		for _, off := range offs {
			binary.BigEndian.PutUint16(b[off:], binary.BigEndian.Uint16(b[off:])+uint16(n))
		}
		return pad(n)(b)
	}
}
