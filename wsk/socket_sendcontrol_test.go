// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// join puts control data one after another.
func join(objects ...[]byte) []byte { return slices.Concat(objects...) }

// Checklist items 46 to 51: what control data do to the destination, and what is refused.
func TestSendControl(t *testing.T) {
	const (
		to4     = "192.0.2.1:9"
		to6     = "[2001:db8::1]:9"
		toLocal = "[fe80::1%7]:9"
		mapped  = "[::ffff:192.0.2.1]:9"
		ok      = wsk.STATUS_SUCCESS
		invalid = wsk.STATUS_INVALID_PARAMETER
	)
	v4, v6, zero4, zero6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7"), netip.IPv4Unspecified(), netip.IPv6Unspecified()
	raw := wsk.AppendCMsg
	word := wsk.AppendCMsgUint32
	type outcome struct {
		source       string
		ifIndex      uint32
		ttl, tos     uint8
		segmentedTo5 bool // a datagram of 12 bytes left as 5, 5, 2
	}
	def := outcome{ttl: 128}
	for _, c := range []struct {
		name    string
		remote  string
		control []byte
		status  wsk.NTSTATUS
		want    outcome
	}{
		{"none", to4, nil, ok, def},
		{"not-nil-length-0", to4, []byte{}, ok, def}, // item 49

		{"pktinfo-both", to4, wsk.AppendPktinfo(nil, v4, 3), ok, outcome{source: "192.0.2.7", ifIndex: 3, ttl: 128}},
		{"pktinfo-source-only", to4, wsk.AppendPktinfo(nil, v4, 0), ok, outcome{source: "192.0.2.7", ttl: 128}},
		{"pktinfo-interface-only", to4, wsk.AppendPktinfo(nil, zero4, 3), ok, outcome{ifIndex: 3, ttl: 128}},
		{"pktinfo-nothing", to4, wsk.AppendPktinfo(nil, zero4, 0), ok, def},
		{"pktinfo-short", to4, raw(nil, 0, 19, make([]byte, 7)), invalid, def},
		{"pktinfo-ex", to4, raw(nil, 0, 51, append(v4.AsSlice(), 3, 0, 0, 0, 9, 9, 9, 9)), ok, outcome{source: "192.0.2.7", ifIndex: 3, ttl: 128}},
		{"pktinfo-ex-short", to4, raw(nil, 0, 51, make([]byte, 8)), invalid, def},
		{"pktinfo6-both", to6, wsk.AppendPktinfo(nil, v6, 0x102), ok, outcome{source: "2001:db8::7", ifIndex: 0x102, ttl: 128}},
		{"pktinfo6-interface-only", to6, wsk.AppendPktinfo(nil, zero6, 3), ok, outcome{ifIndex: 3, ttl: 128}},
		{"pktinfo6-short", to6, raw(nil, 41, 19, make([]byte, 19)), invalid, def},
		{"pktinfo6-v4-mapped", to6, raw(nil, 41, 19, append(slices.Clone(netip.MustParseAddr("::ffff:192.0.2.7").AsSlice()), 0, 0, 0, 0)), wsk.STATUS_INVALID_ADDRESS_COMPONENT, def},
		{"pktinfo6-ex", to6, raw(nil, 41, 51, append(v6.AsSlice(), 3, 0, 0, 0, 0, 0, 0, 0)), ok, outcome{source: "2001:db8::7", ifIndex: 3, ttl: 128}},
		{"pktinfo-unpadded-total", to6, wsk.AppendPktinfo(nil, v6, 3)[:36], ok, outcome{source: "2001:db8::7", ifIndex: 3, ttl: 128}}, // item 49, lenient

		{"scope-id", toLocal, nil, ok, outcome{ifIndex: 7, ttl: 128}},
		{"scope-id-same-interface", toLocal, wsk.AppendPktinfo(nil, zero6, 7), ok, outcome{ifIndex: 7, ttl: 128}},
		{"scope-id-other-interface", toLocal, wsk.AppendPktinfo(nil, zero6, 8), invalid, def},

		{"mapped-pktinfo", mapped, wsk.AppendPktinfo(nil, v4, 3), ok, outcome{source: "192.0.2.7", ifIndex: 3, ttl: 128}}, // item 50
		{"mapped-pktinfo6", mapped, wsk.AppendPktinfo(nil, v6, 3), invalid, def},
		{"mapped-tos", mapped, wsk.AppendTOS(nil, true, 8), ok, outcome{tos: 8, ttl: 128}},
		{"mapped-tclass", mapped, wsk.AppendTOS(nil, false, 8), invalid, def},
		{"v6-pktinfo4", to6, wsk.AppendPktinfo(nil, v4, 3), invalid, def},
		{"v6-tos", to6, wsk.AppendTOS(nil, true, 8), invalid, def},
		{"v4-tclass", to4, wsk.AppendTOS(nil, false, 8), invalid, def},

		{"tos", to4, wsk.AppendTOS(nil, true, 0xff), ok, outcome{tos: 0xff, ttl: 128}}, // item 47
		{"tos-256", to4, word(nil, 0, 3, 256), invalid, def},
		{"tos-negative", to4, word(nil, 0, 3, 0xFFFFFFFF), invalid, def},
		{"tos-short", to4, raw(nil, 0, 3, []byte{1, 0, 0}), invalid, def},
		{"tclass", to6, wsk.AppendTOS(nil, false, 0xb8), ok, outcome{tos: 0xb8, ttl: 128}},
		{"ecn", to4, wsk.AppendECN(nil, true, 2), ok, outcome{tos: 2, ttl: 128}},
		{"ecn-3", to4, wsk.AppendECN(nil, true, 3), invalid, def},
		{"ecn6", to6, wsk.AppendECN(nil, false, 1), ok, outcome{tos: 1, ttl: 128}},
		{"ecn6-3", to6, wsk.AppendECN(nil, false, 3), invalid, def},
		{"ecn-over-tos", to4, join(wsk.AppendECN(nil, true, 1), wsk.AppendTOS(nil, true, 0xbb)), ok, outcome{tos: 0xb9, ttl: 128}},

		{"ttl", to4, wsk.AppendTTL(nil, true, 9), ok, outcome{ttl: 9}}, // item 51
		{"ttl-255", to4, wsk.AppendTTL(nil, true, 255), ok, outcome{ttl: 255}},
		{"ttl-0", to4, wsk.AppendTTL(nil, true, 0), invalid, def},
		{"ttl-256", to4, word(nil, 0, 4, 256), invalid, def},
		{"hoplimit", to6, wsk.AppendTTL(nil, false, 9), ok, outcome{ttl: 9}},
		{"hoplimit-default", to6, word(nil, 41, 21, 0xFFFFFFFF), ok, def},
		{"hoplimit-minus-2", to6, word(nil, 41, 21, 0xFFFFFFFE), invalid, def},
		{"ttl-by-option-number", to4, word(nil, 0, 21, 9), invalid, def},

		{"segment", to4, wsk.AppendSendMsgSize(nil, 5), ok, outcome{ttl: 128, segmentedTo5: true}}, // item 48
		{"segment-0", to4, wsk.AppendSendMsgSize(nil, 0), ok, def},
		{"segment-as-long", to4, wsk.AppendSendMsgSize(nil, 12), ok, def},
		{"segment-longer", to4, wsk.AppendSendMsgSize(nil, 13), ok, def},
		{"segment-u16", to4, raw(nil, 17, 2, []byte{5, 0}), invalid, def},
		{"coalesced-info", to4, word(nil, 17, 3, 5), invalid, def},

		{"empty-ip-options", to4, join(wsk.AppendPktinfo(nil, v4, 3), raw(nil, 0, 1, nil)), ok, outcome{source: "192.0.2.7", ifIndex: 3, ttl: 128}}, // item 49, wg
		{"empty-rthdr", to6, join(wsk.AppendPktinfo(nil, v6, 3), raw(nil, 41, 32, nil)), ok, outcome{source: "2001:db8::7", ifIndex: 3, ttl: 128}},
		{"ip-options", to4, raw(nil, 0, 1, []byte{7, 3, 4}), invalid, def},
		{"rthdr", to6, raw(nil, 41, 32, make([]byte, 24)), invalid, def},
		{"redirect-records", to4, raw(nil, 0, 60, []byte("opaque")), ok, def},
		{"redirect-records6", to6, raw(nil, 41, 60, []byte("opaque")), ok, def},

		{"unknown-type", to4, word(nil, 0, 99, 1), invalid, def},
		{"unknown-level", to4, word(nil, 6, 1, 1), invalid, def},
		{"sol-socket", to4, word(nil, 0xFFFF, 1, 1), invalid, def},
		{"known-then-broken", to4, append(wsk.AppendTOS(nil, true, 8), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), invalid, def},
		{"last-wins", to4, join(wsk.AppendTOS(nil, true, 8), wsk.AppendTTL(nil, true, 3), wsk.AppendTOS(nil, true, 16), wsk.AppendTTL(nil, true, 4)), ok, outcome{tos: 16, ttl: 4}},
		{"last-pktinfo-wins", to4, join(wsk.AppendPktinfo(nil, v4, 3), wsk.AppendPktinfo(nil, zero4, 5)), ok, outcome{ifIndex: 5, ttl: 128}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			s := h.bound("0.0.0.0:1000")
			if addr(c.remote).Family() == wsk.AF_INET6 {
				s = h.bound("[::]:1001", dualStack)
			}
			want(t, "SendTo", h.send(s, "twelve bytes", c.remote, c.control), c.status)
			if c.status != ok {
				return
			}
			got := outcome{}
			d := h.last()
			if a := d.To.SourceIP(); a.IsValid() {
				got.source = a.String()
			}
			got.ifIndex, got.ttl, got.tos = d.To.IfIndex, d.To.TTL, d.To.TOS
			got.segmentedTo5 = len(h.transport.Datagrams()) == 3 && len(d.Payload) == 2
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// Control data override the options of the socket for one send only.
func TestSendControlOverridesOptions(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	for _, o := range []option{
		{wsk.IPPROTO_IP, wsk.IP_TTL, 33}, {wsk.IPPROTO_IP, wsk.IP_TOS, 0x20},
		{wsk.IPPROTO_IP, wsk.IP_UNICAST_IF, 0x05000000}, {wsk.IPPROTO_UDP, wsk.UDP_SEND_MSG_SIZE, 4},
	} {
		want(t, "set", h.set(s, o.level, o.code, o.value), wsk.STATUS_SUCCESS)
	}
	control := join(wsk.AppendTTL(nil, true, 9), wsk.AppendTOS(nil, true, 1),
		wsk.AppendPktinfo(nil, netip.IPv4Unspecified(), 8), wsk.AppendSendMsgSize(nil, 0))
	for _, c := range []struct {
		control   []byte
		ttl, tos  uint8
		ifIndex   uint32
		datagrams int
	}{{nil, 33, 0x20, 5, 2}, {control, 9, 1, 8, 1}, {nil, 33, 0x20, 5, 2}} {
		before := len(h.transport.Datagrams())
		want(t, "SendTo", h.send(s, "12345", "192.0.2.1:9", c.control), wsk.STATUS_SUCCESS)
		d := h.last().To
		if n := len(h.transport.Datagrams()) - before; d.TTL != c.ttl || d.TOS != c.tos || d.IfIndex != c.ifIndex || n != c.datagrams {
			t.Errorf("TTL %d TOS %#x interface %d in %d datagrams, want %+v", d.TTL, d.TOS, d.IfIndex, n, c)
		}
	}
}

// FuzzSendControl: SendTo with hostile control data answers and completes, and nothing invalid reaches the transport.
func FuzzSendControl(f *testing.F) {
	f.Add(wsk.AppendTOS(wsk.AppendPktinfo(nil, netip.MustParseAddr("192.0.2.7"), 1), true, 3), false)
	f.Add(wsk.AppendTTL(wsk.AppendPktinfo(nil, netip.MustParseAddr("2001:db8::7"), 1), false, 3), true)
	f.Add(wsk.AppendSendMsgSize(nil, 1), true)
	f.Fuzz(func(t *testing.T, control []byte, v6 bool) {
		h := newHost(t)
		local, remote := "0.0.0.0:0", "192.0.2.1:9"
		if v6 {
			local, remote = "[::]:0", "[2001:db8::1]:9"
		}
		s := h.bound(local)
		status := h.send(s, "payload", remote, control)
		switch status {
		case wsk.STATUS_SUCCESS:
			d := h.last().To
			if d.TTL == 0 || d.SourceIP().IsValid() && d.SourceIP().Is4() == v6 {
				t.Fatalf("%x: %+v", control, d)
			}
		case wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_INVALID_ADDRESS_COMPONENT:
		default:
			t.Fatalf("%x: %v", control, status)
		}
	})
}
