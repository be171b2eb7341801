// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Doctor finds the ssh session whose variable sudo has taken away, also where the server's address is another interface's, and says of an
// interface what blast refuses it for. What may take the link down is refused there, too.
func TestDoctorSeesTheSession(t *testing.T) {
	l, _ := lab(t, testenv.Topology{Neighbours: testenv.Static})
	netns := fmt.Sprintf("--netns=/proc/%d/fd/%d", os.Getpid(), l.A.NS.FD())
	elsewhere := netip.MustParsePrefix("192.0.2.1/24")
	if _, err := l.A.If.Macvlan("other0", nil, elsewhere); err != nil {
		t.Fatal(err)
	}
	program := binary(t)
	doctor := func(client, server netip.Addr, args ...string) result {
		// The shell is what sudo is started from: it has the variable, and what it starts has not.
		words := []string{"-c", `env -u SSH_CONNECTION "$0" "$@"; exit $?`, program, "doctor", netns, "wsk0"}
		cmd := exec.CommandContext(timeout(t), "/bin/sh", append(words, args...)...)
		cmd.Env = append(os.Environ(), fmt.Sprintf("SSH_CONNECTION=%v 50000 %v 22", client, server))
		return outcome(t, cmd, run1)
	}
	for _, c := range []struct {
		client, server netip.Addr
		want           bool
	}{
		{l.B.IPv4(), l.A.IPv4(), true},
		{l.B.IPv6(), l.A.IPv6(), true},
		{l.B.IPv4(), elsewhere.Addr(), true},
		{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.8"), false},
	} {
		if doc := decode[doctorReport](t, doctor(c.client, c.server, "--json")); doc.Facts.Interface.SSH != c.want {
			t.Errorf("from %v to %v: %+v", c.client, c.server, doc.Facts.Interface)
		}
	}
	doctor(l.B.IPv4(), l.A.IPv4(), "--try").want(t, 3, "WX-SSH-01: this ssh session runs over wsk0", "--try", "--force")
	doctor(l.B.IPv4(), l.A.IPv4(), "--try", "--force").want(t, 0, "this SSH session runs over wsk0")
}

// A default route with several next hops is on the interface of each.
func TestDoctorSeesDefaultRoutes(t *testing.T) {
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	on := func() bool {
		t.Helper()
		return decode[doctorReport](t, cli(timeout(t), "doctor", netns, "wsk0", "--json")).Facts.Interface.DefaultRoute
	}
	if on() {
		t.Error("there is none")
	}
	other, err := l.A.If.Macvlan("other0", nil, netip.MustParsePrefix("10.88.0.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	hop := func(i *testenv.Iface, to string) *netlink.NexthopInfo {
		return &netlink.NexthopInfo{LinkIndex: i.Index(), Gw: netip.MustParseAddr(to).AsSlice()}
	}
	if err := l.A.NS.Do(func() error {
		everywhere := net.IPNet{IP: make(net.IP, 4), Mask: make(net.IPMask, 4)}
		hops := []*netlink.NexthopInfo{hop(l.A.If, "10.77.0.2"), hop(other, "10.88.0.2")}
		return netlink.RouteAdd(&netlink.Route{Dst: &everywhere, MultiPath: hops})
	}); err != nil {
		t.Fatal(err)
	}
	if !on() {
		t.Error("it is not seen")
	}
}
