// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"math/bits"
)

// PutDatagram writes one whole datagram, a payload and the headers in front of it, and returns the length of the frame.
// It is CopyAdd and PutHeaders in one, with their rules.
func (t *Template) PutDatagram(frame, payload []byte, id uint16) int {
	return t.PutDatagramTo(frame, payload, id, nil)
}

// PutDatagramTo is PutDatagram of [Template.To], for an open template; nil writes the destination of the template itself.
func (t *Template) PutDatagramTo(frame, payload []byte, id uint16, dst *Dst) int {
	n := len(payload)
	if !t.plain.is || n > MaxIPv4Payload || len(frame) < plainLen+n {
		return t.putDatagram(frame, payload, id, dst)
	}
	var addr, port uint64
	if dst != nil {
		addr, port = uint64(binary.LittleEndian.Uint32(dst.Addr[12:])), uint64(bits.ReverseBytes16(dst.Port))
	}
	p, h := &t.plain, (*[plainLen]byte)(frame)
	body := frame[plainLen : plainLen+n]
	var sum uint64
	if n >= 16 && n < 32 { // the least that a frame has behind these headers, without a call
		// The last word is stored first and overlaps what comes then: of an octet that somebody changes meanwhile, what stays
		// in the frame is what is summed.
		last := binary.LittleEndian.Uint64(payload[n-8:])
		binary.LittleEndian.PutUint64(body[n-8:], last)
		if n >= 24 {
			sum = binary.LittleEndian.Uint64(payload[16:])
			binary.LittleEndian.PutUint64(body[16:], sum)
		}
		from, to := (*[16]byte)(payload), (*[16]byte)(body)
		a, b := binary.LittleEndian.Uint64(from[:8]), binary.LittleEndian.Uint64(from[8:])
		binary.LittleEndian.PutUint64(to[:8], a)
		binary.LittleEndian.PutUint64(to[8:], b)
		var c uint64
		sum, c = bits.Add64(sum, a, 0)
		sum, c = bits.Add64(sum, b, c)
		sum, c = bits.Add64(sum, last>>(64-8*(n&7)), c) // nothing is left of it where the words were all
		sum += c
	} else {
		sum = copySumBytes(body, payload)
	}
	total := uint64(bits.ReverseBytes16(uint16(IPv4Len + UDPLen + n)))
	length := uint64(bits.ReverseBytes16(uint16(UDPLen + n)))
	ident := uint64(bits.ReverseBytes16(id))

	binary.LittleEndian.PutUint64(h[0:], p.words[0])
	binary.LittleEndian.PutUint64(h[8:], p.words[1])
	binary.LittleEndian.PutUint64(h[16:], p.words[2]|total|ident<<16)
	addrSum := uint32(addr&0xffff) + uint32(addr>>16)
	binary.LittleEndian.PutUint64(h[24:], p.words[3]|addr<<48|uint64(^fold32(p.ipSum+uint32(total)+uint32(ident)+addrSum)))
	binary.LittleEndian.PutUint64(h[32:], p.words[4]|addr>>16|port<<32|length<<48)
	// The length counts twice: in the header, and in the pseudo-header.
	low := uint32((sum + bits.RotateLeft64(sum, 32)) >> 32)
	rest := uint64(low) + uint64(p.udpSum) + 2*length + uint64(addrSum) + port
	check := nonZero(^fold32(uint32(rest) + uint32(rest>>32)))
	binary.LittleEndian.PutUint16(h[40:], check)
	return plainLen + n
}

// putDatagram is PutDatagramTo for every template.
func (t *Template) putDatagram(frame, payload []byte, id uint16, dst *Dst) int {
	if dst != nil && !t.v6 {
		to := t.To(dst)
		t, dst = &to, nil
	}
	var sum Sum
	hl := int(t.headerLen)
	if hl+len(payload) <= len(frame) {
		sum.CopyAdd(frame[hl:hl+len(payload)], payload)
	}
	if dst != nil {
		sum.acc = add1s(sum.acc, dst.sum6())
	}
	n := t.PutHeaders(frame, len(payload), id, sum) // panics where the payload is too long
	if dst != nil {
		dst.put6((*[IPv6Len + UDPLen]byte)(frame[hl-IPv6Len-UDPLen:]))
	}
	return n
}
