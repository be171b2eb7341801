// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// Every segment is a right datagram of its own; together they are the payload, and the IDs run on over 0xffff.
func TestSegments(t *testing.T) {
	for _, flow := range []frame.Flow{flow4, withTags(flow6, vlan100)} {
		tmpl := mustTemplate(t, flow)
		for _, tt := range []struct{ size, segment, count int }{
			{0, 0, 1}, {0, 100, 1}, {1, 0, 1}, {1, 1, 1}, {99, 100, 1}, {100, 100, 1}, {101, 100, 2},
			{1000, 100, 10}, {1001, 7, 143}, {100000, 1400, 72},
		} {
			payload := pattern(tt.size)
			plan, err := tmpl.PlanSegments(tt.size, tt.segment, 1500)
			if err != nil || plan.Count() != tt.count {
				t.Fatalf("%+v: %d segments, %v", tt, plan.Count(), err)
			}
			const first = 0xfff8
			var got []byte
			for i := range plan.Count() {
				s := plan.At(i, first)
				b := build(t, flow, payload[s.PayloadOffset:s.PayloadOffset+s.PayloadLen], s.ID)
				p, r := frame.Parse(b)
				if r != frame.ReasonOK || frame.VerifyChecksums(b, &p) != frame.ReasonOK {
					t.Fatalf("%+v segment %d: %v", tt, i, r)
				}
				if i < plan.Count()-1 && p.PayloadLen != tt.segment {
					t.Fatalf("%+v segment %d: %d octets", tt, i, p.PayloadLen)
				}
				if want := uint16(first + i); s.ID != want || !p.Is6() && p.ID != uint32(want) {
					t.Fatalf("%+v segment %d: id %#x in the frame %#x, want %#x", tt, i, s.ID, p.ID, want)
				}
				got = append(got, p.Payload(b)...)
			}
			if !bytes.Equal(got, payload) {
				t.Fatalf("%+v: the segments are not the payload", tt)
			}
		}
	}
}

func TestPlanSegmentsRefuses(t *testing.T) {
	tmpl := mustTemplate(t, flow4)
	for _, tt := range []struct {
		size, segment, mtu int
		want               error
	}{
		{5000, 1473, 1500, frame.ErrPayloadTooLong},
		{5000, 0, 1500, frame.ErrPayloadTooLong},
		{-1, 1, 1500, frame.ErrPayloadTooLong},
		{1, -1, 1500, frame.ErrPayloadTooLong},
		{1, 1, 67, frame.ErrMTU},
		{5000, 1472, 1500, nil},
		{1472, 5000, 1500, nil}, // one segment is no larger than the payload
		{70000, 65507, 1 << 20, nil},
		{70000, 65508, 1 << 20, frame.ErrPayloadTooLong},
	} {
		if _, err := tmpl.PlanSegments(tt.size, tt.segment, tt.mtu); !errors.Is(err, tt.want) {
			t.Errorf("%+v: error %v", tt, err)
		}
	}
}
