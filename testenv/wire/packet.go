// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// packet says what a frame is to be like. The zero value of most fields is the right one.
type packet struct {
	dstMAC, srcMAC net.HardwareAddr
	tags           []uint32 // TPID and TCI
	beside         uint32   // a tag that is not in the frame but beside it
	src, dst       netip.AddrPort
	ttl, tos       byte
	id             uint16
	flags          uint16 // of IPv4: DF, MF, offset
	options        []byte // of IPv4, a multiple of 4
	flow           uint32 // label of IPv6
	extensions     []extension
	payload        []byte
	checksum       checksum
	// What the lengths are off by, and the number of the protocol instead of UDP's.
	ipLength, udpLength int
	protocol            byte
	version             byte
	badHeaderSum        bool
	padding             int
	fragments           []int // where the IP payload is cut, multiples of 8
}

type checksum uint8

const (
	checksumRight   checksum = iota
	checksumNone             // zero
	checksumWrong            // a bit off
	checksumPartial          // the sum of the pseudo-header only, as a sender leaves it to its device
)

// extension is an extension header of IPv6.
type extension struct {
	kind byte
	body []byte // behind next header and length; 6 more than a multiple of 8
}

// sum adds up 16-bit words.
func sum(b []byte, s uint32) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// udp is the datagram with its header.
func (p *packet) udp() []byte {
	b := make([]byte, 8+len(p.payload))
	binary.BigEndian.PutUint16(b, p.src.Port())
	binary.BigEndian.PutUint16(b[2:], p.dst.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)+p.udpLength))
	copy(b[8:], p.payload)
	pseudo := sum(p.src.Addr().AsSlice(), sum(p.dst.Addr().AsSlice(), 17+uint32(len(b)+p.udpLength)))
	switch p.checksum {
	case checksumPartial:
		binary.BigEndian.PutUint16(b[6:], fold(pseudo))
	case checksumRight, checksumWrong:
		covered := b[:min(len(b), max(8, len(b)+p.udpLength))]
		s := ^fold(sum(covered, pseudo))
		if s == 0 {
			s = 0xffff
		}
		if p.checksum == checksumWrong {
			s ^= 0x40
			if s == fold(pseudo) {
				s ^= 0x80 // that would be checksumPartial
			}
		}
		binary.BigEndian.PutUint16(b[6:], s)
	}
	return b
}

// frames are the frames of the packet, several when it is cut into fragments.
func (p *packet) frames() [][]byte {
	body := p.udp()
	if len(p.fragments) == 0 {
		return [][]byte{p.frame(body, p.flags, -1, false)}
	}
	var out [][]byte
	from := 0
	for _, to := range append(p.fragments, len(body)) {
		to = min(to, len(body))
		if to <= from && to != len(body) {
			continue
		}
		more := to < len(body)
		flags := uint16(from / 8)
		if more {
			flags |= 0x2000
		}
		out = append(out, p.frame(body[from:to], flags, from, more))
		from = to
	}
	return out
}

// frame is one frame; offset is that of a fragment, negative for a whole packet.
func (p *packet) frame(body []byte, flags uint16, offset int, more bool) []byte {
	b := append(append(make([]byte, 0, 64+len(body)), p.dstMAC...), p.srcMAC...)
	for _, t := range p.tags {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	if p.dst.Addr().Is4() {
		b = p.ipv4(append(b, 0x08, 0x00), body, flags)
	} else {
		b = p.ipv6(append(b, 0x86, 0xdd), body, offset, more)
	}
	return append(b, make([]byte, p.padding)...)
}

func (p *packet) proto() byte {
	if p.protocol != 0 {
		return p.protocol
	}
	return 17
}

func (p *packet) ipv4(b, body []byte, flags uint16) []byte {
	at := len(b)
	version := byte(4)
	if p.version != 0 {
		version = p.version
	}
	header := 20 + len(p.options)
	b = append(b, version<<4|byte(header/4), p.tos)
	b = binary.BigEndian.AppendUint16(b, uint16(header+len(body)+p.ipLength))
	b = binary.BigEndian.AppendUint16(b, p.id)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, p.ttl, p.proto(), 0, 0)
	b = append(append(b, p.src.Addr().AsSlice()...), p.dst.Addr().AsSlice()...)
	b = append(b, p.options...)
	s := ^fold(sum(b[at:], 0))
	if p.badHeaderSum {
		s ^= 1
	}
	binary.BigEndian.PutUint16(b[at+10:], s)
	return append(b, body...)
}

func (p *packet) ipv6(b, body []byte, offset int, more bool) []byte {
	version := uint32(6)
	if p.version != 0 {
		version = uint32(p.version)
	}
	b = binary.BigEndian.AppendUint32(b, version<<28|uint32(p.tos)<<20|p.flow)
	at := len(b)
	b = append(b, 0, 0, p.proto(), p.ttl)
	b = append(append(b, p.src.Addr().AsSlice()...), p.dst.Addr().AsSlice()...)
	next := at + 2 // where the number of what follows goes
	for _, e := range p.extensions {
		b[next] = e.kind
		next = len(b)
		b = append(b, p.proto(), byte((len(e.body)+2)/8-1))
		b = append(b, e.body...)
	}
	if offset >= 0 {
		b[next] = 44
		field := uint16(offset)
		if more {
			field |= 1
		}
		b = append(b, p.proto(), 0)
		b = binary.BigEndian.AppendUint16(b, field)
		b = binary.BigEndian.AppendUint32(b, uint32(p.id))
	}
	b = append(b, body...)
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-36+p.ipLength))
	return b
}
