// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestSendProgress: whoever waits until a send is not sought any more learns what the kernel would have said at once, and
// does not wait for a neighbour.
func TestSendProgress(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	s := c.socket("0.0.0.0:0")
	option(t, s, wsk.IPPROTO_IP, wsk.IP_MTU_DISCOVER, uint32(wsk.IP_PMTUDISC_DO))
	silent := netip.AddrFrom4([4]byte{10, 77, 0, 90})
	for round := range 3 { // the way is looked for in the first, and known in the others
		for _, tc := range []struct {
			name      string
			to        netip.Addr
			size      int
			completed bool
			status    wsk.NTSTATUS
			progress  wsk.SendProgress
		}{
			{"peer", lab.B.IPv4(), 10, false, 0, wsk.SendAccepted},
			{"too big for its packet", lab.B.IPv4(), 2000, true, wsk.STATUS_INVALID_BUFFER_SIZE, 0},
			{"no route", netip.MustParseAddr("198.51.100.1"), 10, true, wsk.STATUS_NETWORK_UNREACHABLE, 0},
			{"the host itself", lab.A.IPv4(), 10, true, wsk.STATUS_SUCCESS, 0},
			{"too big for any packet", lab.A.IPv4(), 65508, true, wsk.STATUS_INVALID_BUFFER_SIZE, 0},
			{"silent", silent, 10, false, 0, wsk.SendHeld},
		} {
			irp := wsk.AllocateIRP()
			s.SendTo(whole(make([]byte, tc.size)), 0, sockaddr(tc.to, 9), nil, irp)
			completed := irp.WaitSought()
			switch {
			case tc.completed && (!completed || irp.IoStatus.Status != tc.status):
				t.Errorf("%s, round %d: %v, %v, want %v", tc.name, round, completed, irp.IoStatus.Status, tc.status)
			case !tc.completed && completed && (tc.progress == wsk.SendHeld || irp.IoStatus.Status != wsk.STATUS_SUCCESS):
				t.Errorf("%s, round %d: completed with %v", tc.name, round, irp.IoStatus.Status)
			case !completed && tc.progress == wsk.SendHeld && irp.SendProgress() != wsk.SendHeld:
				t.Errorf("%s, round %d: progress %v", tc.name, round, irp.SendProgress())
			}
			if tc.to == silent {
				irp.Cancel()
			}
			await(t, irp)
		}
	}
}
