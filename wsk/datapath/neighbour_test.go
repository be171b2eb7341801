// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// TestNeighbourUnknown sends several datagrams to a neighbour that nobody knows yet: the first one waits until it
// has been resolved, and all leave in order.
//
// Checklist item 35.
func TestNeighbourUnknown(t *testing.T) {
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			lab, c := newLab(t, testenv.Topology{}, Options{})
			to, bind := lab.B.IPv4(), "0.0.0.0:0"
			if family == "v6" {
				to, bind = lab.B.IPv6(), "[::]:0"
			}
			receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(to, 7004), testenv.UDPReceiverOptions{})
			s := c.socket(bind)
			const n = 50
			irps := make([]*wsk.IRP, n)
			for i := range irps {
				irps[i] = wsk.AllocateIRP()
				s.SendTo(whole(binary.BigEndian.AppendUint32(nil, uint32(i))), 0, sockaddr(to, 7004), nil, irps[i])
			}
			for _, irp := range irps {
				mustSucceed(t, "SendTo", await(t, irp))
			}
			got, err := receiver.Wait(testenv.Context(t, waitLimit), n)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range got {
				if seq := binary.BigEndian.Uint32(d.Payload); seq != uint32(i) {
					t.Fatalf("datagram %d arrived as number %d", seq, i)
				}
			}
		})
	}
}

// TestNeighbourSilent sends to an address of the link that nobody has: STATUS_HOST_UNREACHABLE within a bounded time, and
// nothing for another destination is held up meanwhile.
//
// Checklist item 35, row 17.
func TestNeighbourSilent(t *testing.T) {
	const bound = 2 * time.Second
	lab, c := newLab(t, testenv.Topology{}, Options{NeighbourTimeout: bound})
	s := c.socket("0.0.0.0:0")
	var irp *wsk.IRP
	const tries = 5
	for try := range byte(tries) {
		irp = wsk.AllocateIRP()
		s.SendTo(whole([]byte("x")), 0, sockaddr(netip.AddrFrom4([4]byte{10, 77, 0, 90 + try}), 9), nil, irp)
		mustSucceed(t, "SendTo another", sendOne(t, s, whole([]byte("y")), sockaddr(lab.B.IPv4(), 9), nil))
		if pending(irp) {
			break // the other was not held up
		}
		// A machine that was busy elsewhere for all of the bound is not held up by the neighbour: it is not so again and again.
		if try == tries-1 {
			t.Errorf("the other datagram left only after the silent neighbour's IRP had ended with %v, %d times", irp.IoStatus.Status, tries)
		}
	}
	if status := await(t, irp); status != wsk.STATUS_HOST_UNREACHABLE {
		t.Errorf("nobody answers: %v, want STATUS_HOST_UNREACHABLE", status)
	}

	// A cancelled one does not wait for the bound.
	irp = wsk.AllocateIRP()
	s.SendTo(whole([]byte("x")), 0, sockaddr(netip.MustParseAddr("10.77.0.98"), 9), nil, irp)
	if !irp.Cancel() {
		t.Error("a send that waits for its neighbour could not be cancelled")
	}
	if status := await(t, irp); status != wsk.STATUS_CANCELLED {
		t.Errorf("cancelled: %v", status)
	}
}

// TestNoRoute: checklist item 36, rows 12, 14, 15 and 16.
func TestNoRoute(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	s := c.socket("0.0.0.0:0")
	s6 := c.socket("[::]:0")
	dontFragment := c.socket("0.0.0.0:0")
	option(t, dontFragment, wsk.IPPROTO_IP, wsk.IP_DONTFRAGMENT, uint32(1))
	foreign := wsk.AppendPktinfo(nil, netip.MustParseAddr("192.0.2.1"), 0)
	for _, tc := range []struct {
		name    string
		s       *wsk.Socket
		to      string
		size    int
		control []byte
		want    wsk.NTSTATUS
	}{
		{"no route v4", s, "192.0.2.9:9", 1, nil, wsk.STATUS_NETWORK_UNREACHABLE},
		{"no route v6", s6, "[2001:db8::9]:9", 1, nil, wsk.STATUS_NETWORK_UNREACHABLE},
		{"source not local", s, netip.AddrPortFrom(lab.B.IPv4(), 9).String(), 1, foreign, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"interface does not exist", s, netip.AddrPortFrom(lab.B.IPv4(), 9).String(), 1,
			wsk.AppendPktinfo(nil, netip.MustParseAddr("0.0.0.0"), 4711), wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"link-local without its scope", s6, "[fe80::77]:9", 1, nil, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{"subnet broadcast", s, "10.77.0.255:9", 1, nil, wsk.STATUS_ACCESS_DENIED},
		{"larger than the MTU with DF", dontFragment, netip.AddrPortFrom(lab.B.IPv4(), 9).String(), 1473, nil, wsk.STATUS_INVALID_BUFFER_SIZE},
		{"as large as the MTU with DF", dontFragment, netip.AddrPortFrom(lab.B.IPv4(), 9).String(), 1472, nil, wsk.STATUS_SUCCESS},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := netip.MustParseAddrPort(tc.to)
			if got := sendOne(t, tc.s, whole(pattern(tc.size)), wsk.NewSockaddr(to), tc.control); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// TestGateway sends beyond a router: the frames go to its MAC, and the path MTU that it reports is learned.
//
// Checklist item 36.
func TestGateway(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Shape: testenv.Routed, FarMTU: 1400}, Options{})
	for _, to := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
		bind := "0.0.0.0:0"
		if to.Is6() {
			bind = "[::]:0"
		}
		receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(to, 7005), testenv.UDPReceiverOptions{})
		s := c.socket(bind)
		mustSucceed(t, "SendTo", sendOne(t, s, whole(pattern(100)), sockaddr(to, 7005), nil))
		if _, err := receiver.Wait(testenv.Context(t, waitLimit), 1); err != nil {
			t.Fatal(err)
		}
		// 1440 bytes fit the near link and not the far one. With DF the first is lost on the way, which is what it says; once
		// the router's answer has been heard the next is refused here.
		df := c.socket(bind)
		level, name := uint32(wsk.IPPROTO_IP), uint32(wsk.IP_DONTFRAGMENT)
		if to.Is6() {
			level, name = wsk.IPPROTO_IPV6, wsk.IPV6_DONTFRAG
		}
		option(t, df, level, name, uint32(1))
		testenv.Eventually(t, waitLimit, "a path MTU of 1400", func() bool {
			return sendOne(t, df, whole(pattern(1440)), sockaddr(to, 7005), nil) == wsk.STATUS_INVALID_BUFFER_SIZE
		})
	}
}

// TestNeighbourMovesAway changes the neighbour's MAC: frames follow the kernel's announcement.
func TestNeighbourMovesAway(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7006), testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	mustSucceed(t, "SendTo", sendOne(t, s, whole([]byte("before")), sockaddr(lab.B.IPv4(), 7006), nil))
	if _, err := receiver.Wait(testenv.Context(t, waitLimit), 1); err != nil {
		t.Fatal(err)
	}
	// What the kernel of A learns from an announcement of B, without its second of distrust of a changing answer.
	mac := net.HardwareAddr{2, 0x77, 0, 0, 9, 9}
	if err := lab.B.If.SetMAC(mac); err != nil {
		t.Fatal(err)
	}
	nl, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	if err := nl.NeighSet(&netlink.Neigh{
		LinkIndex: lab.A.If.Index(), IP: lab.B.IPv4().AsSlice(), HardwareAddr: mac, State: netlink.NUD_REACHABLE,
	}); err != nil {
		t.Fatal(err)
	}
	// Sooner than a path is looked up again without any event.
	testenv.Eventually(t, send.PathLifetime/2, "a datagram at the new MAC", func() bool {
		mustSucceed(t, "SendTo", sendOne(t, s, whole([]byte("after")), sockaddr(lab.B.IPv4(), 7006), nil))
		return receiver.Count() > 1
	})
}
