// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

func TestPayloadOfFrame(t *testing.T) {
	for _, c := range []struct {
		is4        bool
		size, want int
	}{
		{true, 64, 18}, {true, 1518, 1472}, {true, 512, 466}, {false, 66, 0}, {false, 1518, 1452},
	} {
		if got, err := PayloadOfFrame(c.is4, c.size); err != nil || got != c.want {
			t.Errorf("frame of %d, IPv4 %t: payload %d, %v; want %d", c.size, c.is4, got, err, c.want)
		}
	}
	for _, c := range []struct {
		is4  bool
		size int
	}{{true, 63}, {true, 0}, {true, -1}, {false, 65}} {
		if got, err := PayloadOfFrame(c.is4, c.size); err == nil {
			t.Errorf("frame of %d, IPv4 %t: payload %d", c.size, c.is4, got)
		}
	}
}

func TestOnWire(t *testing.T) {
	for _, c := range []struct {
		is4                bool
		payload, mtu, tags int
		want               Wire
	}{
		{true, 18, 1500, 0, Wire{1, 64, 84}},
		{true, 0, 1500, 0, Wire{1, 64, 84}}, // padded
		{true, 1472, 1500, 0, Wire{1, 1518, 1538}},
		{true, 1473, 1500, 0, Wire{2, 1518 + 64, 1538 + 84}},
		{false, 0, 1500, 0, Wire{1, 66, 86}},
		{false, 1452, 1500, 0, Wire{1, 1518, 1538}},
		{false, 1453, 1500, 0, Wire{2, 1514 + 79, 1534 + 99}},
		{true, 18, 1500, 1, Wire{1, 68, 88}},
		{true, 0, 1500, 1, Wire{1, 64, 84}}, // a tag and padding
		{true, 1473, 1500, 2, Wire{2, 1526 + 64, 1546 + 84}},
	} {
		if got := OnWire(c.is4, c.payload, c.mtu, c.tags); got != c.want {
			t.Errorf("payload %d, MTU %d, %d tags, IPv4 %t: %+v, want %+v", c.payload, c.mtu, c.tags, c.is4, got, c.want)
		}
	}
}

// The number of frames is the one that package frame plans.
func TestOnWireAgreesWithTheDatapath(t *testing.T) {
	flow4 := frame.Flow{Src: addrPort("10.0.0.1:1"), Dst: addrPort("10.0.0.2:2"), TTL: 1}
	flow6 := frame.Flow{Src: addrPort("[fd00::1]:1"), Dst: addrPort("[fd00::2]:2"), TTL: 1}
	for _, flow := range []frame.Flow{flow4, flow6} {
		template, err := frame.NewTemplate(flow)
		if err != nil {
			t.Fatal(err)
		}
		is4 := flow.Dst.Addr().Is4()
		for _, mtu := range []int{1280, 1281, 1500, 9000} {
			for payload := 0; payload < 65507; payload += 97 {
				want := 1
				if payload > template.MaxPayload(mtu) {
					plan, err := template.PlanFragments(payload, mtu)
					if err != nil {
						t.Fatal(err)
					}
					want = plan.Count()
				}
				if got := OnWire(is4, payload, mtu, 0).Frames; got != want {
					t.Fatalf("payload %d, MTU %d, IPv4 %t: %d frames, the datapath sends %d", payload, mtu, is4, got, want)
				}
			}
		}
	}
}
