// SPDX-License-Identifier: Apache-2.0

package device

import (
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestOpenInterfaceRefuses: an interface that AF_XDP can send nothing through is not opened as if it could; the error says
// why and what to do.
func TestOpenInterfaceRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		device route.Device
		chunk  uint32
		span   int
		want   string // in the error; empty where it opens
	}{
		{"largest MTU", route.Device{Index: 2, Name: "eth0", MTU: 4010, TxQueues: 1}, 0, 1, ""},
		{"jumbo", route.Device{Index: 2, Name: "eth0", MTU: 4011, TxQueues: 1}, 0, 1, "ip link set eth0 mtu 4010 or less"},
		{"jumbo in several chunks", route.Device{Index: 2, Name: "eth0", MTU: 9000, TxQueues: 1}, 0, 3, ""},
		{"too large for several", route.Device{Index: 2, Name: "eth0", MTU: 9000, TxQueues: 1}, 0, 2, "2 chunks of 4096 bytes"},
		{"chunks of its own", route.Device{Index: 2, Name: "eth0", MTU: 1963, TxQueues: 1}, 2048, 1, "ip link set eth0 mtu 1962 or less"},
		{"a kind that is not carried", route.Device{Index: 2, Name: "tap0", Kind: "gretap", MTU: 1462, TxQueues: 1}, 0, 1, "tap0 (gretap)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := newSet(t, fakeRoutes{tc.device.Name: tc.device}, nil)
			set.Opts.Socket.ChunkSize = tc.chunk
			set.Open = func(d *Device, slot int) (xdp.Queue, error) {
				return xdptest.New(xdptest.Config{ChunkSize: d.SocketOptions(slot).ChunkSize, FrameChunks: tc.span})
			}
			err := set.OpenInterface(tc.device.Name)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	set := newSet(t, fakeRoutes{}, nil)
	if err := set.OpenInterface("eth1"); err == nil || !strings.Contains(err.Error(), "no such interface") {
		t.Error(err)
	}
}

// TestBondIsNotReceivedOn: a program on a bond would lose every frame. The error names the ports, which do not.
func TestBondIsNotReceivedOn(t *testing.T) {
	bond := route.Device{Index: 2, Name: "bond0", Type: route.TypeBond, Kind: "bond"}
	ports := fakeRoutes{
		"bond0": bond, "eth1": {Index: 4, Name: "eth1", Master: 2}, "eth0": {Index: 3, Name: "eth0", Master: 2},
		"eth2": {Index: 5, Name: "eth2"},
	}
	if err := newSet(t, ports, nil).OpenReceiving("bond0"); err == nil || !strings.Contains(err.Error(), "name eth0 and eth1 instead") {
		t.Error(err)
	}
	if err := newSet(t, fakeRoutes{"bond0": bond}, nil).OpenReceiving("bond0"); err == nil || !strings.Contains(err.Error(), "it has none") {
		t.Error(err)
	}
}
