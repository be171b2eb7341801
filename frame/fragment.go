// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	// ErrPayloadTooLong is wrapped when a payload is larger than any datagram can be, or negative.
	ErrPayloadTooLong = errors.New("payload too long")
	// ErrDontFragment is wrapped when a datagram does not fit the MTU and the flow has DF set.
	ErrDontFragment = errors.New("packet larger than the mtu and fragmenting is forbidden")
	// ErrMTU is wrapped when the MTU is below what the protocol demands of every link.
	ErrMTU = errors.New("mtu too small")
)

// FragmentPlan says which part of one datagram's payload goes into which frame. It is a small value, made without
// allocation, and stays valid as long as the Template's family and tags do; it holds no memory of anyone's.
type FragmentPlan struct {
	payloadLen int
	room       int // data octets of every packet but the last, UDP header included
	count      int
	headerLen  int // of a frame whose data are not preceded by a UDP header
}

// Fragment is one frame of a plan. The frame's headers take [0, HeaderLen) and its part of the payload, which is
// [PayloadOffset, PayloadOffset+PayloadLen) of the whole, lies directly behind them.
type Fragment struct {
	HeaderLen     int
	PayloadOffset int
	PayloadLen    int
	// More is true for all but the last.
	More bool
}

// FrameLen is the length of the whole frame.
func (f Fragment) FrameLen() int { return f.HeaderLen + f.PayloadLen }

// PlanFragments plans a datagram of payloadLen octets over packets of at most mtu octets (IP header included, Ethernet
// and tags not). A datagram that fits is planned as one unfragmented frame. Otherwise every fragment but the last
// carries as many multiples of 8 octets as fit (RFC 791 section 3.2, RFC 8200 section 4.5), and the last one whatever
// is left, in the order of the payload.
//
// Errors wrap ErrPayloadTooLong, ErrDontFragment or ErrMTU (below 68 for IPv4, 1280 for IPv6).
func (t *Template) PlanFragments(payloadLen, mtu int) (FragmentPlan, error) {
	if limit := t.maxDatagram(); payloadLen < 0 || payloadLen > limit {
		return FragmentPlan{}, fmt.Errorf("plan fragments: payload of %d bytes, at most %d: %w",
			payloadLen, limit, ErrPayloadTooLong)
	}
	if err := t.checkMTU(mtu); err != nil {
		return FragmentPlan{}, fmt.Errorf("plan fragments: %w", err)
	}
	if payloadLen <= t.MaxPayload(mtu) {
		return FragmentPlan{payloadLen: payloadLen, room: UDPLen + payloadLen, count: 1,
			headerLen: int(t.headerLen) - UDPLen}, nil
	}
	if t.df {
		return FragmentPlan{}, fmt.Errorf("plan fragments: packet of %d bytes, mtu %d: %w",
			int(t.ipLen)+UDPLen+payloadLen, mtu, ErrDontFragment)
	}
	header := int(t.ipLen)
	if t.v6 {
		header += IPv6FragmentLen
	}
	// What the last fragment may hold needs no multiple of 8, which can save one.
	last := mtu - header
	room := last &^ 7
	data := UDPLen + payloadLen
	return FragmentPlan{
		payloadLen: payloadLen,
		room:       room,
		count:      1 + (data-last+room-1)/room,
		headerLen:  int(t.ipOffset) + header,
	}, nil
}

func (t *Template) checkMTU(mtu int) error {
	least := MinIPv4MTU
	if t.v6 {
		least = MinIPv6MTU
	}
	if mtu < least {
		return fmt.Errorf("mtu %d, at least %d: %w", mtu, least, ErrMTU)
	}
	return nil
}

// Count is the number of frames, 1 when the datagram needs no fragmenting.
func (p FragmentPlan) Count() int { return p.count }

// At is the i-th frame. It panics unless 0 <= i < Count().
func (p FragmentPlan) At(i int) Fragment {
	if uint(i) >= uint(p.count) {
		panic("frame: fragment index out of range")
	}
	f := Fragment{HeaderLen: p.headerLen, More: i < p.count-1}
	start, end := i*p.room, (i+1)*p.room // of header and payload
	if !f.More {
		end = UDPLen + p.payloadLen
	}
	if i == 0 {
		f.HeaderLen += UDPLen
		start = UDPLen
	}
	f.PayloadOffset = start - UDPLen
	f.PayloadLen = end - start
	return f
}

// PutFragment writes the headers of the plan's i-th frame in front of its part of the payload, which already lies at
// frame[plan.At(i).HeaderLen:], and returns the length of the frame. id is the same for all fragments of a datagram and
// unlike that of others under way between the same hosts; IPv4 uses the low 16 bits (RFC 791 section 3.2, RFC 8200
// section 4.5).
//
// payload is the sum of the whole datagram's payload and used for the first frame only, whose UDP header
// covers it all. A caller that copies and sums in one go therefore writes the first frame's headers last, or sums
// beforehand with Sum.Add.
//
// A plan of one frame gives what PutHeaders gives. Every octet of the headers is written; nothing is allocated. It
// panics when i is out of range or the frame is too short for its part.
func (t *Template) PutFragment(frame []byte, plan FragmentPlan, i int, id uint32, payload Sum) int {
	if plan.At(i).FrameLen() > len(frame) {
		panic("frame: put fragment: payload past the end of the frame")
	}
	return t.PutFragmentApart(frame, plan, i, id, payload)
}

// PutFragmentApart is PutFragment for a frame that does not lie in one piece: frame is its beginning, with room for the
// headers at least, and the rest of its part of the payload may lie anywhere.
func (t *Template) PutFragmentApart(frame []byte, plan FragmentPlan, i int, id uint32, payload Sum) int {
	f := plan.At(i)
	if plan.count == 1 {
		return t.PutHeadersApart(frame, plan.payloadLen, uint16(id), payload)
	}
	if f.HeaderLen > len(frame) {
		panic("frame: put fragment: no room for the headers")
	}
	offset := i * plan.room
	ipEnd := int(t.ipOffset) + int(t.ipLen)
	copy(frame, t.hdr[:ipEnd])
	if t.v6 {
		ip := IPv6(frame[t.ipOffset:])
		ip.SetPayloadLen(f.FrameLen() - ipEnd)
		ip.SetNextHeader(NextHeaderFragment)
		IPv6Fragment(frame[ipEnd:]).Encode(ProtocolUDP, offset, f.More, id)
	} else {
		total := f.FrameLen() - int(t.ipOffset)
		flags := uint16(offset / 8)
		if f.More {
			flags |= ipv4MF
		}
		ip := IPv4(frame[t.ipOffset:])
		ip.SetTotalLen(total)
		ip.SetID(uint16(id))
		binary.BigEndian.PutUint16(ip[6:8], flags)
		sum := t.ipSum + uint32(total) + uint32(uint16(id)) + uint32(flags)
		if t.df { // the plan is that of a flow without; its flag is in ipSum, and not in a fragment
			sum += uint32(^ipv4DF)
		}
		ip.SetChecksum(^fold32(sum))
	}
	if i == 0 {
		udpLen := UDPLen + plan.payloadLen
		udp := UDP(frame[f.HeaderLen-UDPLen:])
		copy(udp, t.hdr[ipEnd:ipEnd+4])
		udp.SetLen(udpLen)
		check := nonZero(^fold32(t.udpSum + 2*uint32(udpLen) + uint32(payload.Fold())))
		if t.noChecksum {
			check = 0
		}
		udp.SetChecksum(check)
	}
	return f.FrameLen()
}
