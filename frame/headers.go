// SPDX-License-Identifier: Apache-2.0

package frame

import "encoding/binary"

// PutHeaders writes the headers of one whole datagram in front of a payload that already lies at
// frame[HeaderLen():], and returns the length of the frame. payload is the sum of exactly those payloadLen octets; it
// is ignored when the flow sends no checksum. id is the IPv4 identification, 0 being fine with DF (RFC 6864); IPv6 has
// none. Every octet of the headers is written, whatever lay there before. It does not allocate.
//
// The returned length is the real one, also below the 60 octets of the shortest Ethernet frame: filling up to
// minFrameSize is the sending MAC's duty (IEEE 802.3 clause 4.2.3.3; Linux drivers do it with skb_padto where the
// hardware does not), virtual devices have no minimum, and receivers go by the IP length (RFC 894).
//
// Preconditions, else it panics: 0 <= payloadLen <= 65507 (IPv4) or 65527 (IPv6) and
// HeaderLen()+payloadLen <= len(frame). Whether the packet fits the MTU is the caller's business; see MaxPayload.
func (t *Template) PutHeaders(frame []byte, payloadLen int, id uint16, payload Sum) int {
	if int(t.headerLen)+payloadLen > len(frame) {
		panic("frame: put headers: payload past the end of the frame")
	}
	return t.PutHeadersApart(frame, payloadLen, id, payload)
}

// PutHeadersApart is PutHeaders for a frame that does not lie in one piece: head is its beginning, with room for the headers
// at least, and the rest of the payload may lie anywhere.
func (t *Template) PutHeadersApart(head []byte, payloadLen int, id uint16, payload Sum) int {
	udp, n := t.putHeaders(head, payloadLen, id)
	udpLen := UDPLen + payloadLen
	// The length counts twice: in the header, and in the pseudo-header.
	check := nonZero(^fold32(t.udpSum + 2*uint32(udpLen) + uint32(payload.Fold())))
	if t.noChecksum {
		check = 0
	}
	binary.BigEndian.PutUint16(udp[6:], check)
	return n
}

// PutHeadersPartial is PutHeaders for a device that completes the UDP checksum: the field is preset with the sum of the
// pseudo-header, not complemented, as the kernel's CHECKSUM_PARTIAL and XDP_TXMD_FLAGS_CHECKSUM expect it. Where the
// device finds its work is said by ChecksumOffload. The IPv4 header checksum is always complete. For a
// flow without checksum the field is 0, and the device must not be asked.
//
// Sources: the kernel's Documentation/networking/checksum-offloads.rst and xsk-tx-metadata.rst.
func (t *Template) PutHeadersPartial(frame []byte, payloadLen int, id uint16) int {
	if int(t.headerLen)+payloadLen > len(frame) {
		panic("frame: put headers: payload past the end of the frame")
	}
	udp, n := t.putHeaders(frame, payloadLen, id)
	var seed uint16
	if !t.noChecksum {
		seed = fold32(t.pseudoSum + uint32(UDPLen+payloadLen))
	}
	binary.BigEndian.PutUint16(udp[6:], seed)
	return n
}

// ChecksumOffload is what a device needs to complete the checksum of a frame of PutHeadersPartial: csum_start, where
// summing begins, from the frame's first octet, and csum_offset, where the result goes, from csum_start. It
// reports false when the flow sends no checksum.
func (t *Template) ChecksumOffload() (start, offset uint16, ok bool) {
	return uint16(t.headerLen) - UDPLen, udpChecksumOffset, !t.noChecksum
}

// putHeaders writes everything but the UDP checksum, and returns the UDP header and the frame's length.
func (t *Template) putHeaders(frame []byte, payloadLen int, id uint16) (*[UDPLen]byte, int) {
	hl := int(t.headerLen)
	if uint(payloadLen) > uint(t.maxDatagram()) || hl > len(frame) {
		panic("frame: put headers: payload length or frame out of range")
	}
	head, tail := (*[headerHead]byte)(frame), (*[headerTail]byte)(frame[hl-headerTail:])
	*head = [headerHead]byte(t.hdr[:])
	*tail = [headerTail]byte(t.hdr[hl-headerTail:])

	udpLen := UDPLen + payloadLen
	udp := (*[UDPLen]byte)(tail[headerTail-UDPLen:])
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen))
	if t.v6 {
		ip := (*[IPv6Len]byte)(frame[hl-UDPLen-IPv6Len:])
		binary.BigEndian.PutUint16(ip[4:], uint16(udpLen))
	} else {
		ip := (*[IPv4Len]byte)(tail[headerTail-UDPLen-IPv4Len:])
		total := IPv4Len + udpLen
		binary.BigEndian.PutUint16(ip[2:], uint16(total))
		binary.BigEndian.PutUint16(ip[4:], id)
		binary.BigEndian.PutUint16(ip[10:], ^fold32(t.ipSum+uint32(total)+uint32(id)))
	}
	return udp, hl + payloadLen
}
