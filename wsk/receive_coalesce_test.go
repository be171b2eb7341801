// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// together is what receives of size bytes each get of datagrams that are all there, by the rules of Linux, written down one
// by one. A datagram is told by its flow, a letter, and its length.
func together(list []wsktest.Arrival, size, most int) (reads []string) {
	for i := 0; i < len(list); {
		first := list[i]
		n, bytes := 1, len(first.Payload)
		for i+n < len(list) {
			d := list[i+n]
			switch {
			case first.Segment != 0 || d.Segment != 0:
			case len(first.Payload) == 0 || len(d.Payload) == 0:
			case len(d.Payload) > len(first.Payload):
			case len(list[i+n-1].Payload) < len(first.Payload):
			case d.From != first.From || d.To != first.To || d.TTL != first.TTL || d.TOS != first.TOS || d.IfIndex != first.IfIndex:
			case n == 64 || bytes+len(d.Payload) > min(size, most, 65507):
			default:
				bytes += len(d.Payload)
				n++
				continue
			}
			break
		}
		text := ""
		for _, d := range list[i : i+n] {
			text += string(d.Payload)
		}
		text = text[:min(len(text), size)]
		segment := first.Segment
		if n > 1 {
			segment = uint16(len(first.Payload))
		}
		reads = append(reads, fmt.Sprintf("%s/%d from %s", text, segment, first.From))
		i += n
	}
	return reads
}

// FuzzReceiveCoalesced: what receives get of datagrams of several flows and sizes, some that were buffered and some for which
// receives were waiting, is what the rules say: order, borders, the size told, and nothing lost or lent for ever.
func FuzzReceiveCoalesced(f *testing.F) {
	f.Add([]byte{0x10, 0x10, 0x10, 0x08}, uint16(1000), uint16(65535), false)
	f.Add([]byte{0x10, 0x10, 0x51, 0x10, 0x08, 0x10}, uint16(1000), uint16(65535), true)
	f.Add([]byte{0x10, 0x10, 0x10}, uint16(40), uint16(65535), false)
	f.Add([]byte{0x10, 0x10, 0x10}, uint16(1000), uint16(33), false)
	f.Add([]byte{0x10, 0x00, 0x10, 0x10}, uint16(8), uint16(65535), true)
	f.Add([]byte{0x10, 0x18, 0x10, 0x90, 0xd0, 0xd0, 0x10}, uint16(100), uint16(200), false)
	f.Add(slices.Repeat([]byte{0x01}, 150), uint16(1000), uint16(65535), true)
	f.Add([]byte{0x10, 0x10}, uint16(1000), uint16(0), false)
	f.Add([]byte{0x10, 0x90, 0x90, 0x10}, uint16(1000), uint16(65535), false)
	f.Add([]byte{0x10, 0x30, 0x10, 0x10, 0x30}, uint16(1000), uint16(65535), false)
	f.Add([]byte{0x10, 0x50, 0x50, 0x10}, uint16(1000), uint16(65535), true)
	f.Fuzz(func(t *testing.T, shape []byte, size, most uint16, waiting bool) {
		if len(shape) > 300 {
			return
		}
		h := newHost(t)
		s := h.bound("0.0.0.0:1000")
		want(t, "on", h.set(s, udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, uint32(most)), wsk.STATUS_SUCCESS)
		var list []wsktest.Arrival
		for i, b := range shape {
			sender := peer
			if b&0x40 != 0 {
				sender = "198.51.100.77:9"
			}
			d := from(sender, strings.Repeat(string(rune('a'+i%26)), int(b&0x1f)))
			if b&0x80 != 0 {
				d.TOS ^= 2
			}
			if b&0x20 != 0 && len(d.Payload) > 1 && most != 0 {
				d.Segment = uint16(len(d.Payload) / 2) // as the kernel has put it together
			}
			list = append(list, d)
		}
		wanted := together(list, int(size), int(most))
		var reads []*receive
		if waiting {
			for range wanted {
				reads = append(reads, h.receive(s, int(size)))
			}
		}
		h.transport.Arrive(list...)
		for len(reads) < len(wanted) {
			reads = append(reads, h.receive(s, int(size)))
		}
		var got []string
		for _, r := range reads {
			status := r.wait()
			if status != wsk.STATUS_SUCCESS && status != wsk.STATUS_BUFFER_OVERFLOW {
				t.Fatal(status)
			}
			segment := 0
			for _, m := range r.objects() {
				if m.Type == wsk.UDP_COALESCED_INFO {
					segment = int(m.Data[0]) | int(m.Data[1])<<8
				}
			}
			sender, _ := r.from.AddrPort()
			got = append(got, fmt.Sprintf("%s/%d from %s", r.data[:r.IoStatus.Information], segment, sender))
		}
		if !slices.Equal(got, wanted) {
			t.Errorf("%q\n want %q", got, wanted)
		}
		if stats := s.ReceiveStatistics(); stats.Delivered != uint64(len(list)) || stats.Buffered != 0 {
			t.Errorf("%+v, want %d delivered", stats, len(list))
		}
		h.nothingLent()
	})
}

// TestReceiveCoalescedBetween: an ICMP error stays between the datagrams before and behind it, and with the option off again
// each receive gets one.
func TestReceiveCoalescedBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		s := h.bound("0.0.0.0:1000", option{ip, wsk.IP_RECVERR, 1}, option{udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 65527})
		failed := from(peer, "")
		failed.Err = &wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 3}
		h.transport.Arrive(from(peer, "aa"), from(peer, "bb"), failed, from(peer, "cc"), from(peer, "dd"), from(peer, "ee"))
		for _, text := range []string{"aabb", "", "ccddee"} {
			if got := h.receive(s, 64).payload(); got != text {
				t.Errorf("%q, want %q", got, text)
			}
		}
		h.transport.Arrive(from(peer, "aa"), from(peer, "bb"))
		want(t, "off", h.set(s, udp, wsk.UDP_RECV_MAX_COALESCED_SIZE, 0), wsk.STATUS_SUCCESS)
		for _, text := range []string{"aa", "bb"} {
			if got := h.receive(s, 64).payload(); got != text {
				t.Errorf("%q, want %q", got, text)
			}
		}
		h.nothingLent()
	})
}
