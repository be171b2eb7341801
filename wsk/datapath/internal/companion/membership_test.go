// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestMembershipStatuses: what can't be joined, and the ways to name the interface.
func TestMembershipStatuses(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	index := uint32(lab.A.If.Index())
	four, six := bind(t, h, "0.0.0.0:0"), bind(t, h, "[::]:0")
	group4, group6 := netip.MustParseAddr("239.7.8.1").As16(), netip.MustParseAddr("ff15::7801").As16()
	local := lab.A.IPv4().As16()
	for _, tc := range []struct {
		name string
		p    *port
		m    wsk.Membership
		want wsk.NTSTATUS
	}{
		{"no group", four, wsk.Membership{Group: local, IfIndex: index}, wsk.STATUS_INVALID_PARAMETER},
		{"no such interface", four, wsk.Membership{Group: group4, IfIndex: 9999}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"no such interface v6", six, wsk.Membership{Group: group6, IfIndex: 9999}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"no such address", four, wsk.Membership{Group: group4, Local: netip.MustParseAddr("10.9.9.9").As16()}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"no route", four, wsk.Membership{Group: group4}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"other family", four, wsk.Membership{Group: group6, IfIndex: index}, wsk.STATUS_INVALID_PARAMETER},
		{"v4 on v6 only", six, wsk.Membership{Group: group4, IfIndex: index}, wsk.STATUS_INVALID_PARAMETER},
		{"leave what was not joined", four, wsk.Membership{Change: wsk.LeaveGroup, Group: group4, IfIndex: index}, wsk.STATUS_NOT_FOUND},
		{"leave by route", four, wsk.Membership{Change: wsk.LeaveGroup, Group: group4}, wsk.STATUS_NOT_FOUND},
		{"by address", four, wsk.Membership{Group: group4, Local: local}, wsk.STATUS_SUCCESS},
		{"the same by index", four, wsk.Membership{Group: group4, IfIndex: index}, wsk.STATUS_ADDRESS_ALREADY_EXISTS},
		{"leave by route, joined", four, wsk.Membership{Change: wsk.LeaveGroup, Group: group4}, wsk.STATUS_SUCCESS},
		{"by route v6", six, wsk.Membership{Group: group6}, wsk.STATUS_SUCCESS},
		{"source of the other family", four, wsk.Membership{Change: wsk.JoinSource, Group: group4, Source: group6, IfIndex: index},
			wsk.STATUS_INVALID_PARAMETER},
		{"unknown change", four, wsk.Membership{Change: 77, Group: group4, IfIndex: index}, wsk.STATUS_INVALID_PARAMETER},
	} {
		if got := tc.p.Change(tc.m); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	four.close()
	if got := four.Change(wsk.Membership{Group: group4, IfIndex: index}); got == wsk.STATUS_SUCCESS {
		t.Error("joined a group after close")
	}
}

// TestGroupPortIsHeld: no other program comes onto the port of a group that an endpoint has joined unseen, whatever
// the endpoint is bound to.
//
// I12.
func TestGroupPortIsHeld(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	for _, local := range []string{"0.0.0.0:7720", "10.77.0.1:7721"} {
		for _, reuse := range []bool{false, true} {
			p, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort(local), ReuseAddress: reuse})
			mustSucceed(t, "bind", status)
			group := netip.MustParseAddr("239.7.10.1")
			mustSucceed(t, "join", p.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(lab.A.If.Index())}))
			if fd, err := bindForeign(t, lab, netip.AddrPortFrom(group, p.addr().Port()).String(), true); err == nil {
				unix.Close(fd)
				t.Errorf("%s, reuse %v: another program has bound the group's port", local, reuse)
			}
			p.close()
		}
	}
}
