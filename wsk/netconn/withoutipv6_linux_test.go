// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

const withoutIPv6 = "WSKXDP_TEST_WITHOUT_IPV6"

// TestWithoutIPv6 listens in a process whose kernel makes no IPv6 sockets, as with ipv6.disable=1. "udp" on every address
// falls back to IPv4 as with package net, and "udp6" fails.
func TestWithoutIPv6(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	if os.Getenv(withoutIPv6) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWithoutIPv6$", "-test.v")
		cmd.Env = append(os.Environ(), withoutIPv6+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	_, npi := afxdp(t, lab.A, false)
	refuseIPv6Sockets(t)
	for _, tc := range []struct{ network, laddr string }{
		{"udp", ""}, {"udp", "0.0.0.0"}, {"udp", "::"}, {"udp", "127.0.0.1"}, {"udp4", ""}, {"udp6", ""}, {"udp", "::1"},
	} {
		var laddr netip.AddrPort
		if tc.laddr != "" {
			laddr = netip.AddrPortFrom(netip.MustParseAddr(tc.laddr), 0)
		}
		judge, judgeErr := net.ListenUDP(tc.network, net.UDPAddrFromAddrPort(laddr))
		conn, err := netconn.Listen(npi, tc.network, laddr, netconn.Options{})
		if (err == nil) != (judgeErr == nil) {
			t.Errorf("%s %q: %v, where package net says: %v", tc.network, tc.laddr, err, judgeErr)
		}
		if err == nil && judgeErr == nil {
			got, want := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr(), judge.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
			if got != want {
				t.Errorf("%s %q: on %v, package net on %v", tc.network, tc.laddr, got, want)
			}
		}
		if judgeErr == nil {
			judge.Close()
		}
		if err == nil {
			conn.Close()
		}
	}
}
