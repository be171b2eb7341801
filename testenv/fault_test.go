// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/asavie/xdp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

func TestLinkDownAndUp(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	if err := lab.A.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	// The far end loses carrier and says so without delay.
	start := time.Now()
	if err := lab.B.If.AwaitDown(soon); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 500*time.Millisecond {
		t.Errorf("carrier loss took %v: are the indices of both ends the same?", d)
	}
	s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
	if err := s.Send(port(lab.B.IPv4(), 9), nil); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("send over a link that is down: %v", err)
	}
	if err := lab.A.If.SetUp(); err != nil {
		t.Fatal(err)
	}
	if err := lab.B.If.AwaitOper(netlink.OperUp, soon); err != nil {
		t.Fatal(err)
	}
	exchangeUDP(t, lab.A, lab.B, lab.A.IPv4(), lab.B.IPv4(), 0, 10)
}

func TestDeleteDevice(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	if err := lab.A.If.Delete(); err != nil {
		t.Fatal(err)
	}
	if err := lab.B.If.AwaitGone(soon); err != nil {
		t.Error(err)
	}
	if err := lab.A.If.Delete(); err != nil {
		t.Errorf("second delete: %v", err)
	}
	if _, err := lab.A.If.Attrs(); err == nil {
		t.Error("the device answers")
	}
}

func TestChangeOfMACAndMTU(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	mac := net.HardwareAddr{2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee}
	exchangeUDP(t, lab.A, lab.B, lab.A.IPv4(), lab.B.IPv4(), 0, 10)
	if err := lab.B.If.SetMAC(mac); err != nil {
		t.Fatal(err)
	}
	attrs, err := lab.B.If.Attrs()
	if err != nil || attrs.HardwareAddr.String() != mac.String() || lab.B.If.MAC().String() != mac.String() {
		t.Errorf("MAC %v, cached %v (%v), want %v", attrs.HardwareAddr, lab.B.If.MAC(), err, mac)
	}
	// A still has the old address and its datagrams are for nobody, until it asks again.
	if n, ok, err := lab.A.If.Neighbour(lab.B.IPv4()); !ok || err != nil || n.HardwareAddr.String() != defaultMACs["B"].String() {
		t.Errorf("A's neighbour: %v %v %v", n, ok, err)
	}
	if err := lab.A.If.DeleteNeighbour(lab.B.IPv4()); err != nil {
		t.Fatal(err)
	}
	exchangeUDP(t, lab.A, lab.B, lab.A.IPv4(), lab.B.IPv4(), 0, 10)
	if err := lab.A.If.SetMTU(1400); err != nil {
		t.Fatal(err)
	}
	s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Fragmentation: FragmentForbid})
	if err := s.Send(port(lab.B.IPv4(), 9), pattern(1373)); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("above the new MTU: %v", err)
	}
}

func TestSilentNeighbour(t *testing.T) {
	Require(t, NetNS)
	for name, c := range map[string]struct {
		host      func(*Lab) [2]netip.Addr
		etherType uint16
		protocol  uint8
	}{
		"ipv4": {func(l *Lab) [2]netip.Addr { return [2]netip.Addr{l.A.IPv4(), l.B.IPv4()} }, unix.ETH_P_ARP, 0},
		"ipv6": {func(l *Lab) [2]netip.Addr { return [2]netip.Addr{l.A.IPv6(), l.B.IPv6()} }, unix.ETH_P_IPV6, 58},
	} {
		t.Run(name, func(t *testing.T) {
			lab := NewLabT(t, Topology{})
			// The capture is before the filter, so it sees the question; an answer it must not see.
			c2 := NewCaptureT(t, lab.B.If, CaptureOptions{})
			if err := lab.B.If.Silence(); err != nil {
				t.Fatal(err)
			}
			host := c.host(lab)
			r := NewUDPReceiverT(t, lab.B.NS, port(host[1], 0), UDPReceiverOptions{})
			s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Source: port(host[0], 0)})
			if err := s.Send(r.Local(), pattern(10)); err != nil {
				t.Fatal(err)
			}
			resolution := func(outgoing bool) func(Frame) bool {
				return func(f Frame) bool {
					p, _ := Decode(f.Data)
					isND := p.Protocol == 58 && len(p.IPPayload) > 0 && (p.IPPayload[0] == 135 || p.IPPayload[0] == 136)
					return f.Outgoing == outgoing && p.EtherType == c.etherType && (c.protocol == 0 || isND)
				}
			}
			// Two questions: the kernel asks the second because the first got no answer.
			if _, err := c2.WaitN(Context(t, soon), 2, resolution(false)); err != nil {
				t.Fatal(err)
			}
			for _, f := range c2.Frames() {
				if resolution(true)(f) {
					t.Error("the silent neighbour answered")
				}
			}
			if r.Count() != 0 {
				t.Error("the datagram arrived")
			}
			// Everything else still arrives.
			if err := lab.A.If.SetNeighbour(host[1], lab.B.If.MAC()); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Wait(Context(t, soon), 1); err != nil {
				if err := s.Send(r.Local(), pattern(10)); err != nil {
					t.Fatal(err)
				}
				if _, err := r.Wait(Context(t, soon), 1); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := lab.B.If.Speak(); err != nil {
					t.Fatal(err)
				}
			}
			if err := lab.A.If.DeleteNeighbour(host[1]); err != nil {
				t.Fatal(err)
			}
			exchangeUDP(t, lab.A, lab.B, host[0], host[1], 0, 10)
		})
	}
}

func TestSetARP(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	for _, on := range []bool{false, true} {
		if err := lab.B.If.SetARP(on); err != nil {
			t.Fatal(err)
		}
		attrs, err := lab.B.If.Attrs()
		if err != nil || (attrs.RawFlags&unix.IFF_NOARP == 0) != on {
			t.Errorf("ARP %v: flags %#x (%v)", on, attrs.RawFlags, err)
		}
	}
}

func TestHoldReceive(t *testing.T) {
	Require(t, NetNS)
	for name, end := range map[string]func(*Hold) error{"release": (*Hold).Release, "drop": (*Hold).Drop} {
		t.Run(name, func(t *testing.T) {
			lab := NewLabT(t, Topology{Neighbours: Static, NoIPv6: true})
			r := NewUDPReceiverT(t, lab.B.NS, port(lab.B.IPv4(), 0), UDPReceiverOptions{})
			s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
			// Twice, because a hold must be possible again after one.
			for round := range 2 {
				hold := HoldReceiveT(t, lab.B.If, lab.A.If)
				const n = 200
				for k := range n {
					if err := s.Send(r.Local(), pattern(k)); err != nil {
						t.Fatal(err)
					}
				}
				// Sending hands the frame over before it returns; still, count rather than assume.
				Eventually(t, soon, "frames to be held", func() bool {
					held, err := hold.Held()
					if err != nil {
						t.Fatal(err)
					}
					return held == n
				})
				if got := len(r.Datagrams()); got != 0 {
					t.Fatalf("%d datagrams came through the hold", got)
				}
				if err := end(hold); err != nil {
					t.Fatal(err)
				}
				if name == "release" {
					got, err := r.Wait(Context(t, soon), n)
					if err != nil {
						t.Fatal(err)
					}
					for k, d := range got {
						if len(d.Payload) != k {
							t.Fatalf("round %d: datagram %d has %d bytes: order lost", round, k, len(d.Payload))
						}
					}
				}
				exchangeUDP(t, lab.A, lab.B, lab.A.IPv4(), lab.B.IPv4(), 0, 10)
				if want := map[string]uint64{"release": n}[name]; r.Count() != want*uint64(round+1) {
					t.Errorf("round %d: received %d", round, r.Count())
				}
				r.Reset()
			}
		})
	}
}

// The point of a hold: what the kernel has not freed is not completed.
func TestHoldReceiveKeepsCompletionsBack(t *testing.T) {
	Require(t, NetNS|AFXDP)
	lab := NewLabT(t, Topology{NoIPv6: true})
	x, err := openPeerSocket(lab.A.If, 0, xdp.DefaultSocketOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer closePeerSocket(x)
	hold := HoldReceiveT(t, lab.B.If, lab.A.If)
	descs := x.GetDescs(16)
	for k := range descs {
		frame := build(t, false, pattern(k))
		descs[k].Len = uint32(copy(x.GetFrame(descs[k]), frame))
	}
	if n := x.Transmit(descs); n != 16 {
		t.Fatalf("transmitted %d", n)
	}
	if held, err := hold.Held(); held != 16 || err != nil {
		t.Fatalf("held %d (%v)", held, err)
	}
	if n := x.NumCompleted(); n != 0 {
		t.Fatalf("%d completions while held", n)
	}
	if err := hold.Release(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, soon, "completions", func() bool { return x.NumCompleted() == 16 })
}

func TestNeighbourStormOverrunsASubscriber(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{NoIPv6: true})
	var sock *nl.NetlinkSocket
	if err := lab.A.NS.Do(func() (err error) {
		sock, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_NEIGH)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	if err := lab.A.If.NeighbourStorm(2000); err != nil {
		t.Fatal(err)
	}
	overrun := false
	for !overrun {
		_, _, err := sock.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			overrun = true
		case err != nil:
			t.Fatal(err)
		}
	}
	h, _ := lab.A.NS.Netlink()
	list, err := h.NeighList(lab.A.If.Index(), unix.AF_INET)
	if err != nil || len(list) != 0 {
		t.Errorf("%d neighbours left (%v)", len(list), err)
	}
}
