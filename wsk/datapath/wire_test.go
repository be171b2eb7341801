// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestWireFormat sends datagrams of every interesting size through MDL chains with odd cuts. The kernel's UDP stack in another
// namespace must deliver them byte for byte with the asked TOS, TTL and source, and a decoder that shares nothing
// with package frame must find every checksum right.
//
// Checklist items 27, 29, 43, 46, 47, 51.
func TestWireFormat(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{A: testenv.End{Addrs: []netip.Prefix{
		netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("10.77.0.7/24"),
		netip.MustParsePrefix("fd77::1/64"), netip.MustParsePrefix("fd77::7/64"),
	}}}, Options{})
	const port = 7001
	for _, v := range []struct {
		name, bind, source string
		to                 netip.Addr
		most               int
	}{
		{"v4", "0.0.0.0:0", "10.77.0.7", lab.B.IPv4(), wsk.MaxPayload4},
		{"v6", "[::]:0", "fd77::7", lab.B.IPv6(), wsk.MaxPayload6},
	} {
		s := c.socket(v.bind)
		source := netip.AddrPortFrom(netip.MustParseAddr(v.source), localPort(t, s))
		control := sendControl(source.Addr(), 0xb9, 77)
		for _, n := range []int{0, 1, 2, 17, 1451, 1452, 1453, 1472, 1473, 2000, 3000, 65507, 65527} {
			if n > v.most {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", v.name, n), func(t *testing.T) {
				receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(v.to, port), testenv.UDPReceiverOptions{})
				capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{})
				payload := pattern(n)
				mustSucceed(t, "SendTo", sendOne(t, s, mdl(payload, 1, 2, 9, 700, 1471, 1473, 40001), sockaddr(v.to, port), control))
				got, err := receiver.Wait(testenv.Context(t, waitLimit), 1)
				if err != nil {
					t.Fatal(err)
				}
				d := got[0]
				if !bytes.Equal(d.Payload, payload) {
					t.Errorf("payload of %d bytes differs from the %d sent", len(d.Payload), n)
				}
				if d.Source != source || d.TOS != 0xb9 || d.TTL != 77 {
					t.Errorf("source %v TOS %#x TTL %d, want %v 0xb9 77", d.Source, d.TOS, d.TTL, source)
				}
				checkCapture(t, capture, payload)
			})
		}
	}
	if info := c.dp.Info(); info.SlowSent != 0 || len(info.Queues) != 1 || info.Queues[0].Foreign != 0 {
		t.Errorf("not all of it went through AF_XDP: %+v", info)
	}
}

// checkCapture decodes every frame of the datagram and puts the fragments together.
func checkCapture(t *testing.T, capture *testenv.Capture, payload []byte) {
	t.Helper()
	isDatagram := func(p *testenv.Packet) bool { return p != nil && p.UDP && bytes.Equal(p.Payload, payload) }
	var r testenv.Reassembler
	_, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool {
		p, err := r.Add(f.Data)
		if err != nil {
			t.Errorf("frame of %d bytes: %v", len(f.Data), err)
		}
		return isDatagram(p)
	})
	if err != nil {
		t.Errorf("the datagram was not captured whole: %v", err)
	}
}

// sendControl is the control data of a send with everything in it.
func sendControl(source netip.Addr, tos, ttl uint8) []byte {
	b := wsk.AppendPktinfo(nil, source, 0)
	b = wsk.AppendTOS(b, source.Is4(), tos)
	return wsk.AppendTTL(b, source.Is4(), ttl)
}
