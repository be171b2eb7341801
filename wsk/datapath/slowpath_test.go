// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// slowLab is a lab with a client in A that has no AF_XDP: everything goes through the kernel's stack.
func slowLab(t *testing.T, top testenv.Topology) (*testenv.Lab, *client) {
	t.Helper()
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, top)
	dp, err := Open(Options{NetNS: lab.A.NS.FD(), Logger: testLogger(t), NeighbourTimeout: time.Second, KernelStack: true})
	if err != nil {
		t.Fatal(err)
	}
	return lab, newClient(t, dp)
}

// TestKernelStack: with the option everything goes through the kernel's stack, though AF_XDP would be to be had.
func TestKernelStack(t *testing.T) {
	lab, c := slowLab(t, testenv.Topology{})
	to := netip.AddrPortFrom(lab.B.IPv4(), 7861)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, to, testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	mustSucceed(t, "SendTo", sendOne(t, s, whole([]byte("kernel")), wsk.NewSockaddr(to), nil))
	if _, err := receiver.Wait(testenv.Context(t, waitLimit), 1); err != nil {
		t.Fatal(err)
	}
	if info := c.dp.Info(); info.SlowSent != 1 || len(info.Queues) != 0 {
		t.Errorf("%d operations took the slow path, %d queues are open", info.SlowSent, len(info.Queues))
	}
	if dp, err := Open(Options{NetNS: lab.A.NS.FD(), KernelStack: true, Interfaces: []string{"wsk0"}}); err == nil {
		dp.Close()
		t.Error("a datapath without AF_XDP has AF_XDP sockets at once")
	}
}

// TestErrorsOfOthers: an ICMP error of one peer fails no datagram to another one, as it fails none of a kernel socket that
// is not connected; and the errors themselves are heard of.
func TestErrorsOfOthers(t *testing.T) {
	const n = 1000
	lab, dp := companionLab(t, testenv.Topology{})
	tap := &tap{Datapath: dp, t: t}
	c := newClientOver(t, dp, tap)
	for _, tc := range []struct{ name, bind, dead, alive string }{
		{"loopback", "127.0.0.1:7850", "127.0.0.1:7999", "127.0.0.1:7851"},
		{"own address v6", "[fd77::1]:7852", "[fd77::1]:7999", "[fd77::1]:7853"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dead, alive := netip.MustParseAddrPort(tc.dead), netip.MustParseAddrPort(tc.alive)
			receiver := testenv.NewUDPReceiverT(t, lab.A.NS, alive, testenv.UDPReceiverOptions{})

			// The kernel's own socket, for comparison.
			kernel := testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{Source: netip.AddrPortFrom(alive.Addr(), 0)})
			for range n {
				if err := kernel.Send(dead, []byte("?")); err != nil {
					t.Fatalf("the kernel's socket to the dead peer: %v", err)
				}
				if err := kernel.Send(alive, []byte("kernel")); err != nil {
					t.Fatalf("the kernel's socket to the living peer: %v", err)
				}
			}

			s := c.socket(tc.bind)
			if alive.Addr().Is4() {
				option(t, s, wsk.IPPROTO_IP, wsk.IP_RECVERR, uint32(1))
			} else {
				option(t, s, wsk.IPPROTO_IPV6, wsk.IPV6_RECVERR, uint32(1))
			}
			failed := 0
			for range n {
				mustSucceed(t, "SendTo the dead peer", sendOne(t, s, whole([]byte("?")), wsk.NewSockaddr(dead), nil))
				if status := sendOne(t, s, whole([]byte("ours")), wsk.NewSockaddr(alive), nil); status != wsk.STATUS_SUCCESS {
					failed++
				}
			}
			if failed != 0 {
				t.Errorf("%d of %d datagrams to the living peer failed", failed, n)
			}
			if _, err := receiver.Wait(testenv.Context(t, waitLimit), 2*n-failed); err != nil {
				t.Error(err)
			}
			heard := tap.last()
			eventually(t, "the errors", func() bool { return heard.count() > 0 })
			for _, d := range heard.take() {
				if d.Err == nil || d.Source.Port != dead.Port() {
					t.Fatalf("%s", describe(&d))
				}
			}
		})
	}
}

// TestErrorsOfTheCall: what the kernel says to the datagram itself is not taken for the error of another one.
func TestErrorsOfTheCall(t *testing.T) {
	_, dp := companionLab(t, testenv.Topology{NoIPv6: true})
	s := newClient(t, dp).socket("0.0.0.0:0")
	status := sendOne(t, s, whole(make([]byte, 65508)), sockaddr(netip.MustParseAddr("127.0.0.1"), 9), nil)
	if status != wsk.STATUS_INVALID_BUFFER_SIZE {
		t.Errorf("a datagram that is too long: %v", status)
	}
}

// TestSilentNeighboursSlowPath: datagrams to neighbours that do not answer hold up none to one that does, also where all go
// through the kernel's stack; each ends with a status of its own.
func TestSilentNeighboursSlowPath(t *testing.T) {
	lab, c := slowLab(t, testenv.Topology{NoIPv6: true})
	peer := netip.AddrPortFrom(lab.B.IPv4(), 7860)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, peer, testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	mustSucceed(t, "before", sendOne(t, s, whole([]byte("x")), wsk.NewSockaddr(peer), nil))

	const silent = 300
	irps := make([]*wsk.IRP, silent)
	for i := range irps {
		irps[i] = wsk.AllocateIRP()
		to := sockaddr(netip.AddrFrom4([4]byte{10, 77, 0, byte(50 + i%150)}), uint16(9000+i/150))
		s.SendTo(whole(pattern(1400)), 0, to, nil, irps[i])
	}
	const n = 100
	for range n {
		mustSucceed(t, "beside", sendOne(t, s, whole([]byte("x")), wsk.NewSockaddr(peer), nil))
	}
	waiting := 0
	for _, irp := range irps {
		if pending(irp) {
			waiting++
		}
	}
	if waiting == 0 {
		t.Error("the datagrams went out after those to the silent neighbours had ended")
	}
	if _, err := receiver.Wait(testenv.Context(t, waitLimit), 1+n); err != nil {
		t.Error(err)
	}
	for i, irp := range irps {
		if status := await(t, irp); status != wsk.STATUS_HOST_UNREACHABLE {
			t.Errorf("silent neighbour %d: %v", i, status)
		}
	}
	if info := c.dp.Info(); info.SlowSent != 1+n {
		t.Errorf("%d operations took the slow path", info.SlowSent)
	}
}
