// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestMulticastAndBroadcast: group addresses need no neighbour, map to the MACs of RFC 1112 and RFC 2464, leave with
// TTL 1, and broadcast needs SO_BROADCAST.
//
// Checklist items 34 and 37.
func TestMulticastAndBroadcast(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	s, s6 := c.socket("10.77.0.1:0"), c.socket("[fd77::1]:0")
	index := uint32(lab.A.If.Index())
	option(t, s, wsk.IPPROTO_IP, wsk.IP_MULTICAST_IF, []byte{0, 0, byte(index >> 8), byte(index)}) // 0.x.x.x is an index
	option(t, s6, wsk.IPPROTO_IPV6, wsk.IPV6_MULTICAST_IF, index)
	byAddress := c.socket("0.0.0.0:0")
	option(t, byAddress, wsk.IPPROTO_IP, wsk.IP_MULTICAST_IF, []byte{10, 77, 0, 1})
	for _, tc := range []struct {
		name string
		s    *wsk.Socket
		to   string
		mac  []byte
		ttl  uint8
	}{
		{"v4 group", s, "239.129.3.4:7030", []byte{0x01, 0x00, 0x5e, 0x01, 0x03, 0x04}, 1},
		{"v4 group by address", byAddress, "239.1.3.4:7030", []byte{0x01, 0x00, 0x5e, 0x01, 0x03, 0x04}, 1},
		{"v6 group", s6, "[ff15::1234:5678]:7030", []byte{0x33, 0x33, 0x12, 0x34, 0x56, 0x78}, 1},
		{"limited broadcast", s, "255.255.255.255:7030", bytes.Repeat([]byte{0xff}, 6), 128},
		{"subnet broadcast", s, "10.77.0.255:7030", bytes.Repeat([]byte{0xff}, 6), 128},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := wsk.NewSockaddr(netip.MustParseAddrPort(tc.to))
			if tc.ttl != 1 {
				if status := sendOne(t, tc.s, whole([]byte("x")), to, nil); status != wsk.STATUS_ACCESS_DENIED {
					t.Errorf("without SO_BROADCAST: %v", status)
				}
				option(t, tc.s, wsk.SOL_SOCKET, wsk.SO_BROADCAST, uint32(1))
				defer option(t, tc.s, wsk.SOL_SOCKET, wsk.SO_BROADCAST, uint32(0))
			}
			mustSucceed(t, "SendTo", sendOne(t, tc.s, whole([]byte(tc.name)), to, nil))
			var got *testenv.Packet
			_, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool {
				p, err := testenv.Decode(f.Data)
				if err == nil && string(p.Payload) == tc.name {
					got = p
				}
				return got != nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.DestinationMAC, tc.mac) || got.TTL != tc.ttl {
				t.Errorf("to %v with TTL %d, want %x and %d", got.DestinationMAC, got.TTL, tc.mac, tc.ttl)
			}
		})
	}
}

// TestSlowPath: what AF_XDP can't reach goes through the companion socket, with the same headers.
//
// Checklist item 36.
func TestSlowPath(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	for _, tc := range []struct{ name, bind, to string }{
		{"own address v4", "0.0.0.0:0", "10.77.0.1:7031"},
		{"own address v6", "[::]:0", "[fd77::1]:7031"},
		{"loopback v4", "0.0.0.0:0", "127.0.0.1:7032"},
		{"loopback v6", "[::]:0", "[::1]:7032"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := netip.MustParseAddrPort(tc.to)
			receiver := testenv.NewUDPReceiverT(t, lab.A.NS, to, testenv.UDPReceiverOptions{})
			s := c.socket(tc.bind)
			control := wsk.AppendTOS(nil, to.Addr().Is4(), 0x48)
			control = wsk.AppendTTL(control, to.Addr().Is4(), 33)
			sizes := []int{0, 1, 1472, 1473, 60000}
			for _, n := range sizes {
				mustSucceed(t, "SendTo", sendOne(t, s, mdl(pattern(n), 3, 1001), wsk.NewSockaddr(to), control))
			}
			segments := wsk.AppendSendMsgSize(control, 100)
			mustSucceed(t, "SendTo in segments", sendOne(t, s, whole(pattern(250)), wsk.NewSockaddr(to), segments))
			got, err := receiver.Wait(testenv.Context(t, waitLimit), len(sizes)+3)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range got {
				if i < len(sizes) && !bytes.Equal(d.Payload, pattern(sizes[i])) || d.TOS != 0x48 || d.TTL != 33 || d.Source.Port() != localPort(t, s) {
					t.Errorf("datagram %d: %d bytes from %v TOS %#x TTL %d", i, len(d.Payload), d.Source, d.TOS, d.TTL)
				}
			}
			if last := got[len(sizes):]; len(last[0].Payload) != 100 || len(last[1].Payload) != 100 || len(last[2].Payload) != 50 {
				t.Errorf("segments of %d, %d and %d bytes", len(last[0].Payload), len(last[1].Payload), len(last[2].Payload))
			}
		})
	}
	if info := c.dp.Info(); info.SlowSent != 4*6 || len(info.Queues) != 0 {
		t.Errorf("%d operations took the slow path, %d queues are open", info.SlowSent, len(info.Queues))
	}
}

// TestSegments: UDP_SEND_MSG_SIZE cuts a payload into datagrams whose identifications run on by one; larger than the
// path is refused.
//
// Checklist items 41 and 48.
func TestSegments(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	s := c.socket("10.77.0.1:0")
	to := sockaddr(lab.B.IPv4(), 7033)
	for _, tc := range []struct{ total, size, want int }{
		{4000, 1000, 4}, {4001, 1000, 5}, {10, 1000, 1}, {1472, 1472, 1}, {100, 7, 15}, {0, 100, 1},
	} {
		capture.Reset()
		payload := pattern(tc.total)
		control := wsk.AppendSendMsgSize(nil, uint32(tc.size))
		mustSucceed(t, "SendTo", sendOne(t, s, mdl(payload, 1, 999, 1001), to, control))
		var got []byte
		var ids []uint32
		_, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool {
			p, err := testenv.Decode(f.Data)
			if err != nil || !p.UDP {
				return false
			}
			got = append(got, p.Payload...)
			ids = append(ids, p.ID)
			return len(ids) == tc.want
		})
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes in segments of %d: %d of %d datagrams, %v", tc.total, tc.size, len(ids), tc.want, err)
		}
		for i := 1; i < len(ids); i++ {
			if uint16(ids[i]) != uint16(ids[i-1]+1) {
				t.Errorf("identifications %v do not run on", ids)
				break
			}
		}
	}
	if status := sendOne(t, s, whole(pattern(3000)), to, wsk.AppendSendMsgSize(nil, 1473)); status != wsk.STATUS_INVALID_BUFFER_SIZE {
		t.Errorf("segments above the MTU: %v", status)
	}
}
