// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestCarrierAway: writes succeed while the link has no carrier, with the sockets of both packages, and when that is back
// what is written then arrives. What was written meanwhile either arrives, before that, or Failed has counted it.
func TestCarrierAway(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	for _, f := range []functions{ofNet, ofWsknet} {
		t.Run(f.name, func(t *testing.T) {
			lab := testenv.NewLabT(t, testenv.Topology{Shape: testenv.Routed, NoIPv6: true})
			b, err := pcKernel(lab.B).Listen("udp", netip.AddrPortFrom(lab.B.IPv4(), 0))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			var c conn
			in(t, lab.A, func() (err error) {
				c, err = f.listenUDP("udp", &net.UDPAddr{IP: lab.A.IPv4().AsSlice()})
				return err
			})
			defer c.Close()
			to := at(lab.B.IPv4(), b)
			if err := exchange(c, b, to); err != nil {
				t.Fatal(err)
			}
			if err := lab.Router.A.SetDown(); err != nil {
				t.Fatal(err)
			}
			if err := lab.A.If.AwaitDown(testenv.Patience(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			const away = 50
			for i := range away {
				if _, err := c.WriteToUDPAddrPort([]byte{byte(i)}, to); err != nil {
					t.Fatalf("without a carrier: %v", err)
				}
			}
			if err := lab.Router.A.StartUp(); err != nil {
				t.Fatal(err)
			}
			arrived, markers := untilMarker(t, c, b, to)
			failed := 0
			if counts, ok := c.(interface{ Failed() uint64 }); ok {
				failed = int(counts.Failed())
				if arrived+failed < away || arrived+failed >= away+markers { // a marker may come too early
					t.Error("one or the other must be true of each")
				}
			}
			t.Logf("of %d written without a carrier %d arrived, %d failed", away, arrived, failed)
		})
	}
}

// untilMarker writes markers until one arrives, and returns how many others did before, and how many it has written.
func untilMarker(t *testing.T, c, b conn, to netip.AddrPort) (others, markers int) {
	t.Helper()
	buf := make([]byte, 10)
	for end := time.Now().Add(waitLimit); time.Now().Before(end); {
		if _, err := c.WriteToUDPAddrPort([]byte("marker"), to); err != nil {
			t.Fatal(err)
		}
		markers++
		b.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for {
			n, _, err := b.ReadFromUDPAddrPort(buf)
			if err != nil {
				break
			}
			if n > 1 {
				return others, markers
			}
			others++
		}
	}
	t.Fatal("no marker arrives")
	return 0, 0
}
