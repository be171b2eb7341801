// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// member is a change of a membership, on eth0 unless it says otherwise.
func member(change ipc.Change, group string) *ipc.Membership {
	return &ipc.Membership{Change: change, Group: netip.MustParseAddr(group).As16(), IfIndex: 1}
}

// numbered is one of a great many groups.
func numbered(i int) string { return netip.AddrFrom4([4]byte{239, 1, byte(i >> 8), byte(i)}).String() }

// TestMembershipsAreCounted: all sockets of a grant join as many groups as it has memberships, however many there are to
// be had, and what ends is given back.
func TestMembershipsAreCounted(t *testing.T) {
	b := newBench(t, generous+"memberships = 20\n")
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	c.open(2, "10.77.0.1:0")
	ask := func(socket uint32, m *ipc.Membership) message { return c.ask(ipc.TypeMembership, socket, m) }
	count := func(want int64) {
		t.Helper()
		if n := b.grant("tests").Memberships; n != want {
			t.Errorf("%d memberships are counted, want %d", n, want)
		}
	}
	for i := range 1000 {
		m := ask(uint32(1+i%2), member(ipc.JoinGroup, numbered(i)))
		if i < 20 {
			c.must(m, nil)
			continue
		}
		if c.refused(m, wsk.STATUS_INSUFFICIENT_RESOURCES, ipc.ReasonMemberships); t.Failed() {
			t.FailNow()
		}
	}
	count(20)
	c.must(ask(1, member(ipc.LeaveGroup, numbered(0))), nil)
	if got := wsk.NTSTATUS(ask(1, member(ipc.JoinGroup, numbered(2))).Status); got != wsk.STATUS_ADDRESS_ALREADY_EXISTS {
		t.Errorf("joined twice: %v", got)
	}
	count(19)
	c.must(ask(2, member(ipc.JoinGroup, numbered(0))), nil)
	c.must(c.ask(ipc.TypeClose, 1, nil), nil)
	count(11)

	source := member(ipc.JoinSource, "239.2.0.1") // two sources, one membership
	for _, from := range []string{"10.77.0.2", "10.77.0.3"} {
		source.Source = netip.MustParseAddr(from).As16()
		c.must(ask(2, source), nil)
	}
	count(12)
	source.Change = ipc.LeaveSource
	c.must(ask(2, source), nil)
	count(12)
	source.Source, source.IfIndex = netip.MustParseAddr("10.77.0.2").As16(), 0
	c.must(ask(2, source), nil)
	count(11)
	if got := wsk.NTSTATUS(ask(2, source).Status); got != wsk.STATUS_NOT_FOUND {
		t.Errorf("left twice: %v", got)
	}
}

// TestMembershipsOfAnInterfaceThatHasGone: they end, and do not count any more.
func TestMembershipsOfAnInterfaceThatHasGone(t *testing.T) {
	var gone atomic.Bool
	b := newBench(t, generous+"memberships = 1\n", func(c *service.Config) {
		names := c.Interface
		c.Interface = func(index uint32) string {
			if index == 2 && gone.Load() {
				return ""
			}
			return names(index)
		}
	})
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	on := member(ipc.JoinGroup, "239.1.2.3")
	on.IfIndex = 2
	c.must(c.ask(ipc.TypeMembership, 1, on), nil)
	gone.Store(true)
	b.transport.SetLocal(netip.MustParseAddr("10.77.0.1"))
	testenv.Eventually(t, patience, "the membership to end", func() bool { return b.grant("tests").Memberships == 0 })
	c.must(c.ask(ipc.TypeMembership, 1, member(ipc.JoinGroup, "239.1.2.3")), nil)
}

// TestReloadTakesMembershipsBack: a group that a reload does not grant any more is left, and so are all of a socket whose
// address it does not grant.
func TestReloadTakesMembershipsBack(t *testing.T) {
	const rest = "destination = [\"10.0.0.0/8\"]\n"
	b := newBench(t, rest+"multicast = [\"239.1.0.0/16\", \"239.2.0.0/16\"]\n")
	c := b.hello()
	local := c.open(1, "10.77.0.1:0")
	c.open(2, "10.78.0.1:0")
	c.credit(1, 10)
	for _, group := range []string{"239.1.2.3", "239.2.2.3"} {
		for socket := range uint32(2) {
			c.must(c.ask(ipc.TypeMembership, socket+1, member(ipc.JoinGroup, group)), nil)
		}
	}
	heard := func(group string, want int) {
		t.Helper()
		to := netip.AddrPortFrom(netip.MustParseAddr(group), local.Port()).String()
		if n := b.transport.Arrive(arrival("10.77.0.2:9", to, group)); n != want {
			t.Errorf("%d sockets are in %s, want %d", n, group, want)
		}
	}
	heard("239.1.2.3", 1)
	c.recv(1, 1)
	b.reload(rest + "multicast = [\"239.2.0.0/16\"]\nsource = [\"10.77.0.1\"]\n")
	if m := c.note(); m.Type != ipc.TypeDead || m.Socket != 2 {
		t.Errorf("%v of socket %d", m.Type, m.Socket)
	}
	if n := b.grant("tests").Memberships; n != 1 {
		t.Errorf("%d memberships are left", n)
	}
	heard("239.1.2.3", 0)
	heard("239.2.2.3", 1)
	if got := c.recv(1, 1); string(got[0].Payload) != "239.2.2.3" {
		t.Errorf("heard %q", got[0].Payload)
	}
	c.refused(c.ask(ipc.TypeMembership, 1, member(ipc.JoinGroup, "239.1.2.3")), wsk.STATUS_ACCESS_DENIED, ipc.ReasonMulticast)
	c.refused(c.ask(ipc.TypeMembership, 2, member(ipc.JoinGroup, "239.2.2.3")), wsk.STATUS_FILE_FORCED_CLOSED, ipc.ReasonRevoked)
	b.reload(generous)
	c.must(c.ask(ipc.TypeMembership, 1, member(ipc.JoinGroup, "239.1.2.3")), nil) // it was left below, too
}
