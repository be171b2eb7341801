// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

func TestMulticastMAC(t *testing.T) {
	tests := []struct{ addr, want string }{
		{"224.0.0.251", "01:00:5e:00:00:fb"},
		{"239.255.255.250", "01:00:5e:7f:ff:fa"}, // the 24th bit of the group is lost
		{"224.129.2.3", "01:00:5e:01:02:03"},
		{"::ffff:224.0.0.1", "01:00:5e:00:00:01"},
		{"ff02::fb", "33:33:00:00:00:fb"},
		{"ff02::1:ff12:3456%7", "33:33:ff:12:34:56"},
		{"192.0.2.1", ""},
		{"255.255.255.255", ""},
		{"::ffff:192.0.2.1", ""},
		{"2001:db8::1", ""},
		{"::", ""},
	}
	for _, tt := range tests {
		mac, ok := frame.MulticastMAC(netip.MustParseAddr(tt.addr))
		if ok != (tt.want != "") || ok && (mac.String() != tt.want || !mac.IsGroup() || mac.IsBroadcast()) {
			t.Errorf("%s: %v %v, want %q", tt.addr, mac, ok, tt.want)
		}
	}
	if _, ok := frame.MulticastMAC(netip.Addr{}); ok {
		t.Error("the zero address has a group address")
	}
}

func TestMAC(t *testing.T) {
	if s := frame.BroadcastMAC().String(); s != "ff:ff:ff:ff:ff:ff" || !frame.BroadcastMAC().IsBroadcast() {
		t.Errorf("broadcast is %s", s)
	}
	if m, ok := frame.MACFromSlice([]byte{2, 0, 0, 0, 0, 0x0a}); !ok || m != macA || m.IsGroup() {
		t.Errorf("MACFromSlice: %v %v", m, ok)
	}
	for _, n := range []int{0, 5, 7, 8} {
		if _, ok := frame.MACFromSlice(make([]byte, n)); ok {
			t.Errorf("%d bytes are a MAC", n)
		}
	}
}
