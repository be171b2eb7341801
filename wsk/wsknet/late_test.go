// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestErrorWhileOpening: what is refused while the queue of its interface is being opened is an error of that write or of the next one
// to the same destination, and of no other's.
func TestErrorWhileOpening(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	knowNeighbour(t, lab, lab.B.IPv4()) // until then nothing is too long
	var c conn
	in(t, lab.A, func() (err error) {
		c, err = ofWsknet.listenUDP("udp4", nil)
		return err
	})
	defer c.Close()
	if err := set(t, c, [3]int{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO}); err != nil {
		t.Fatal(err)
	}
	to, other := netip.AddrPortFrom(lab.B.IPv4(), 9), netip.AddrPortFrom(lab.B.IPv4(), 10)
	_, first := c.WriteToUDPAddrPort(make([]byte, 3000), to)
	if first != nil && !errors.Is(first, syscall.EMSGSIZE) {
		t.Error(first)
	}
	if _, err := c.WriteToUDPAddrPort([]byte("x"), other); err != nil {
		t.Errorf("another destination: %v", err)
	}
	if first != nil {
		return
	}
	testenv.Eventually(t, waitLimit, "the next write to say so", func() bool {
		_, err := c.WriteToUDPAddrPort([]byte("x"), to)
		if err != nil && !errors.Is(err, syscall.EMSGSIZE) {
			t.Fatal(err)
		}
		return err != nil
	})
	if _, err := c.WriteToUDPAddrPort([]byte("x"), to); err != nil {
		t.Errorf("twice: %v", err)
	}
}
