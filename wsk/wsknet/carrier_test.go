// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// TestCarrierAway: writes succeed while the link has no carrier, with the sockets of both packages, and arrive when it is back.
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
			got := map[byte]bool{}
			buf := make([]byte, 10)
			b.SetReadDeadline(time.Now().Add(waitLimit))
			for len(got) < away {
				n, _, err := b.ReadFromUDPAddrPort(buf)
				if err != nil || n != 1 {
					t.Fatalf("of %d written without a carrier %d arrived, then %d bytes, %v", away, len(got), n, err)
				}
				got[buf[0]] = true
			}
			if err := exchange(c, b, to); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCarrierStaysAway: what is written without a carrier is given up after a while, and makes room meanwhile.
func TestCarrierStaysAway(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{Shape: testenv.Routed, NoIPv6: true})
	b, err := pcKernel(lab.B).Listen("udp", netip.AddrPortFrom(lab.B.IPv4(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: lab.A.NS.FD()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.ListenUDP("udp", &net.UDPAddr{IP: lab.A.IPv4().AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	to := at(lab.B.IPv4(), b)
	// What the kernel's stack sends while the queue is being opened is the kernel's to give up.
	testenv.Eventually(t, waitLimit, "AF_XDP to send", func() bool {
		if err := exchange(c, b, to); err != nil {
			t.Fatal(err)
		}
		queues := s.Datapath().Info().Queues
		return len(queues) > 0 && queues[0].Submitted > 0
	})
	if err := lab.Router.A.SetDown(); err != nil {
		t.Fatal(err)
	}
	if err := lab.A.If.AwaitDown(testenv.Patience(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	const room, size, writes = 212992, 1000, 400 // more than the write buffer takes
	for range writes {
		if _, err := c.WriteToUDPAddrPort(make([]byte, size), to); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Failed(); got < writes-room/size || got >= writes {
		t.Errorf("%d made room", got)
	}
	testenv.Eventually(t, waitLimit, "all to be given up", func() bool { return c.Failed() == writes })
	// A close does not wait for the carrier.
	const last = 10
	for range last {
		if _, err := c.WriteToUDPAddrPort([]byte("x"), to); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if got := c.Failed(); got != writes+last {
		t.Errorf("%d failed, want %d", got, writes+last)
	}
}
