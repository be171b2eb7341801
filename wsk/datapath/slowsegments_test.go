// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestSegmentsTogether: what UDP_SEND_MSG_SIZE cuts up goes to the kernel's stack in as few calls as it takes, and one by one where
// it takes no more. Over the loopback interface a call of several arrives at a socket that asks for it (UDP_GRO) as it was made, where
// the interface does not have it cut up itself (Linux 5.10).
func TestSegmentsTogether(t *testing.T) {
	lab, dp := companionLab(t, testenv.Topology{})
	passes := passesSegments(t, lab.A.NS, "lo")
	taps := &tap{Datapath: dp, t: t}
	c := newClientOver(t, dp, taps)
	for i, tc := range []struct {
		name, address string
		total, size   int
		noChecksum    bool
		want          []int // payloads as they arrive
	}{
		{"a few", "127.0.0.1", 3500, 1000, false, []int{3500}},
		{"a few over IPv6", "::1", 3500, 1000, false, []int{3500}},
		{"as many as one call takes", "127.0.0.1", 6400, 100, false, []int{6400}},
		{"more", "127.0.0.1", 6450, 100, false, []int{6400, 50}},
		{"the bytes that one call takes", "127.0.0.1", 65507, 1400, false, []int{46 * 1400, 65507 - 46*1400}},
		{"more over IPv6", "::1", 65527, 1400, false, []int{46 * 1400, 65527 - 46*1400}},
		{"no checksum", "127.0.0.1", 2500, 1000, true, []int{1000, 1000, 500}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			local := netip.AddrPortFrom(netip.MustParseAddr(tc.address), uint16(7870+i))
			sender := c.socket(netip.AddrPortFrom(local.Addr(), 0).String())
			receiver := c.socket(local.String())
			option(t, receiver, wsk.IPPROTO_UDP, wsk.UDP_RECV_MAX_COALESCED_SIZE, uint32(65527))
			if tc.noChecksum {
				option(t, sender, wsk.IPPROTO_UDP, wsk.UDP_NOCHECKSUM, uint32(1))
			}
			if !passes {
				tc.want = cut(tc.total, tc.size)
			}
			caught := taps.last()
			payload := pattern(tc.total)
			control := wsk.AppendSendMsgSize(nil, uint32(tc.size))
			mustSucceed(t, "SendTo", sendOne(t, sender, mdl(payload, 99, 999, 2001), wsk.NewSockaddr(local), control))
			eventually(t, "the datagrams", func() bool { return caught.count() == len(tc.want) })
			var got []byte
			var sizes []int
			for _, d := range caught.take() {
				got, sizes = append(got, d.Payload...), append(sizes, len(d.Payload))
				if want := uint16(tc.size); len(d.Payload) > tc.size && d.Segment != want {
					t.Errorf("segments of %d, want %d", d.Segment, want)
				}
			}
			if !slices.Equal(sizes, tc.want) || !bytes.Equal(got, payload) {
				t.Errorf("arrived as %v, want %v", sizes, tc.want)
			}
		})
	}
}

// passesSegments reports whether an interface hands on as one what is to be cut up.
func passesSegments(t *testing.T, ns *testenv.Namespace, name string) bool {
	t.Helper()
	i, err := testenv.FindIface(ns, name)
	if err != nil {
		t.Fatal(err)
	}
	features, err := i.Features()
	if err != nil {
		t.Fatal(err)
	}
	return features["tx-udp-segmentation"]
}

// cut is how long the segments of a payload are.
func cut(total, size int) (sizes []int) {
	for ; total > size; total -= size {
		sizes = append(sizes, size)
	}
	return append(sizes, total)
}

// TestSegmentsInFragments: segments that are longer than the path takes whole are fragmented, as a single datagram would be.
func TestSegmentsInFragments(t *testing.T) {
	lab, c := slowLab(t, testenv.Topology{})
	for _, to := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
		receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(to, 7880), testenv.UDPReceiverOptions{})
		s := c.socket(map[bool]string{true: "0.0.0.0:0", false: "[::]:0"}[to.Is4()])
		payload := pattern(5000)
		control := wsk.AppendSendMsgSize(nil, 2000)
		mustSucceed(t, "SendTo", sendOne(t, s, whole(payload), sockaddr(to, 7880), control))
		got, err := receiver.Wait(testenv.Context(t, waitLimit), 3)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, d := range got {
			all = append(all, d.Payload...)
		}
		if !bytes.Equal(all, payload) {
			t.Errorf("%v: the segments do not make up the payload", to)
		}
	}
}
