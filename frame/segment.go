// SPDX-License-Identifier: Apache-2.0

package frame

import "fmt"

// SegmentPlan cuts one large payload into datagrams of equal size, the last one shorter: UDP segmentation as
// UDP_SEND_MSG_SIZE asks for it. Each segment is a datagram of its own, gathered to frame[HeaderLen():] with
// its own Sum and given headers by PutHeaders; only lengths, identification and payload sum differ between them.
type SegmentPlan struct {
	payloadLen int
	size       int
	count      int
}

// Segment is one datagram of a plan: [PayloadOffset, PayloadOffset+PayloadLen) of the whole payload.
type Segment struct {
	PayloadOffset int
	PayloadLen    int
	// ID is the identification: the first one plus the index, wrapping from 0xffff to 0.
	ID uint16
}

// PlanSegments plans payloadLen octets as datagrams of size octets each. Size 0 means one datagram; an empty payload
// is one empty datagram. A segment must fit a packet of mtu octets: segments are never fragmented.
//
// Errors wrap ErrPayloadTooLong (a segment above the MTU, or a negative length) or ErrMTU. The total may be of any
// size.
func (t *Template) PlanSegments(payloadLen, size, mtu int) (SegmentPlan, error) {
	if payloadLen < 0 || size < 0 {
		return SegmentPlan{}, fmt.Errorf("plan segments: payload of %d bytes, segments of %d: %w",
			payloadLen, size, ErrPayloadTooLong)
	}
	if err := t.checkMTU(mtu); err != nil {
		return SegmentPlan{}, fmt.Errorf("plan segments: %w", err)
	}
	if size == 0 || size > payloadLen {
		size = payloadLen
	}
	if limit := t.MaxPayload(mtu); size > limit {
		return SegmentPlan{}, fmt.Errorf("plan segments: segments of %d bytes, mtu %d takes %d: %w",
			size, mtu, limit, ErrPayloadTooLong)
	}
	p := SegmentPlan{payloadLen: payloadLen, size: size, count: 1}
	if size > 0 {
		p.count = (payloadLen-1)/size + 1
	}
	return p, nil
}

// Count is the number of datagrams, at least 1.
func (p SegmentPlan) Count() int { return p.count }

// At is the i-th datagram when the first one's identification is id. It panics unless 0 <= i < Count().
func (p SegmentPlan) At(i int, id uint16) Segment {
	if uint(i) >= uint(p.count) {
		panic("frame: segment index out of range")
	}
	offset := i * p.size
	return Segment{PayloadOffset: offset, PayloadLen: min(p.size, p.payloadLen-offset), ID: id + uint16(i)}
}
