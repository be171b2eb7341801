// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// dontFragment is that flag in the byte of an IPv4 header that has it.
const dontFragment = 0x40

// loadPayload loads bytes of the headers.
func (j *judge) loadPayload(f attributes) {
	offset, length := int(f.number(unix.NFTA_PAYLOAD_OFFSET)), int(f.number(unix.NFTA_PAYLOAD_LEN))
	header, known, what := j.header(f.number(unix.NFTA_PAYLOAD_BASE))
	if offset < 0 || length < 0 || offset > len(header) || length > len(header)-offset {
		j.regs.load(f.number(unix.NFTA_PAYLOAD_DREG), nil, nil, length, "its payload")
		return
	}
	j.regs.load(f.number(unix.NFTA_PAYLOAD_DREG), header[offset:offset+length], known[offset:offset+length], length, what(offset))
}

// header is one of the headers of the datagram with what is known of it.
func (j *judge) header(base uint32) (header, known []byte, what func(offset int) string) {
	set := func(at int, value ...byte) {
		copy(header[at:], value)
		for i := range value {
			known[at+i] = 0xff
		}
	}
	switch base {
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		source, destination, length, addresses := j.d.Source, j.d.Destination, 40, 8
		if destination.Is4() {
			length, addresses = 20, 12
		}
		header, known = make([]byte, length), make([]byte, length)
		switch leaves := j.d.In == "" && !j.rewritten; {
		case !destination.Is4():
			set(6, unix.IPPROTO_UDP)
		case leaves: // no options, TOS 0, and no fragment
			set(0, 0x45, 0)
			set(9, unix.IPPROTO_UDP)
			known[6], known[7] = ^byte(dontFragment), 0xff
		default:
			set(9, unix.IPPROTO_UDP)
		}
		if !j.natted {
			if source.IsValid() && source.Is4() == destination.Is4() {
				set(addresses, source.AsSlice()...)
			}
			set(addresses+len(destination.AsSlice()), destination.WithZone("").AsSlice()...)
		}
		return header, known, func(offset int) string {
			if offset >= addresses {
				return "an address"
			}
			return "its IP header"
		}
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		header, known = make([]byte, 8), make([]byte, 8)
		if j.d.SourcePort != 0 && !j.natted {
			set(0, binary.BigEndian.AppendUint16(nil, j.d.SourcePort)...)
		}
		if j.d.DestinationPort != 0 && !j.natted {
			set(2, binary.BigEndian.AppendUint16(nil, j.d.DestinationPort)...)
		}
		return header, known, func(offset int) string {
			if offset < 4 {
				return "a port"
			}
			return "its length"
		}
	}
	return nil, nil, func(int) string { return "its payload" }
}
