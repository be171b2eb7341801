// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestMTUOfTheFamily: the IPv6 MTU of a device is that of its IPv6 packets, and not that of IPv4 packets by an IPv6 gateway. The kernel's
// connected sockets are the judge.
func TestMTUOfTheFamily(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	h, index := handle(t, lab.A.NS), lab.A.If.Index()
	// As a router advertisement does, but that this is announced to nobody.
	must(t, lab.A.NS.Sysctl("ipv6/conf/"+lab.A.If.Name()+"/mtu", "1280"))
	table := open(t, lab, Options{Mirror: true})
	must(t, h.RouteAdd(&netlink.Route{
		LinkIndex: index, Dst: ipNet("198.51.100.0/24"), Via: &netlink.Via{AddrFamily: unix.AF_INET6, Addr: lab.B.IPv6().AsSlice()},
	}))
	must(t, h.RouteAdd(&netlink.Route{LinkIndex: index, Dst: ipNet("2001:db8:1::/48"), Gw: lab.B.IPv6().AsSlice()}))
	settle(t, lab, table)
	for dst, want := range map[string]int{"198.51.100.9": 1500, "2001:db8:1::9": 1280} {
		if got := kernelMTU(t, lab.A.NS, addr(dst)); got != want {
			t.Errorf("%s: the kernel says %d: the test does not test", dst, got)
		}
		hop, err := table.Resolve(t.Context(), Query{Dst: addr(dst)})
		if err != nil || hop.MTU != want {
			t.Errorf("%s: MTU %d, %v, want %d", dst, hop.MTU, err, want)
		}
		var on Standing
		if hop, err = table.ResolveStanding(t.Context(), Query{Dst: addr(dst)}, &on); err != nil || hop.MTU != want {
			t.Errorf("%s, by the mirror: MTU %d, %v, want %d", dst, hop.MTU, err, want)
		}
	}
}

// kernelMTU is the MTU of a connected socket.
func kernelMTU(t *testing.T, ns *testenv.Namespace, dst netip.Addr) (mtu int) {
	t.Helper()
	family, level, option, to := unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU, unix.Sockaddr(&unix.SockaddrInet6{Port: 9, Addr: dst.As16()})
	if dst.Is4() {
		family, level, option, to = unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU, &unix.SockaddrInet4{Port: 9, Addr: dst.As4()}
	}
	must(t, ns.Do(func() error {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, to); err != nil {
			return err
		}
		mtu, err = unix.GetsockoptInt(fd, level, option)
		return err
	}))
	return mtu
}
