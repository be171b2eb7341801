// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

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
	if err := lab.B.If.AwaitDown(soon); err != nil {
		t.Fatal(err)
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

// Subscribers hear of a lost carrier at once. With equal indices at both ends of a veth the kernel takes the event for
// one that is not urgent and reports it up to a second later (net/core/link_watch.c).
func TestCarrierEventsComeAtOnce(t *testing.T) {
	Require(t, NetNS)
	for name, shape := range map[string]Shape{"direct": Direct, "routed": Routed} {
		t.Run(name, func(t *testing.T) {
			lab := NewLabT(t, Topology{Shape: shape})
			far := lab.B.If
			if shape == Routed {
				far = lab.Router.A
			}
			events, done := make(chan netlink.LinkUpdate, 100), make(chan struct{})
			if err := netlink.LinkSubscribeAt(far.ns.Handle(), events, done); err != nil {
				t.Fatal(err)
			}
			defer func() {
				close(done)
				for range events {
				}
			}()
			// The first event is never held back, so there are several. The others are held back for a second by the
			// kernel's own clock, so that the fastest of them decides, whatever else the machine does.
			fastest := time.Hour
			for round := range 6 {
				up := round%2 == 1
				set := (*netlink.Handle).LinkSetDown
				if up {
					set = (*netlink.Handle).LinkSetUp
				}
				begun := time.Now()
				if err := lab.A.If.change("set", func(h *netlink.Handle, l netlink.Link) error { return set(h, l) }); err != nil {
					t.Fatal(err)
				}
				late := time.After(Patience(soon))
				for heard := false; !heard; {
					select {
					case e := <-events:
						heard = e.Link.Attrs().Index == far.Index() && (e.IfInfomsg.Flags&unix.IFF_RUNNING != 0) == up
					case <-late:
						t.Fatalf("round %d: no event", round)
					}
				}
				if round > 0 {
					fastest = min(fastest, time.Since(begun))
				}
			}
			if fastest > 600*time.Millisecond {
				t.Errorf("the fastest of the later events took %v", fastest)
			}
		})
	}
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
	// A still has the old address, and its datagrams reach no host until it asks again.
	if n, ok, err := lab.A.If.Neighbour(lab.B.IPv4()); !ok || err != nil ||
		n.HardwareAddr.String() != defaultMACs["B"].String() {
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
			// The capture comes before the filter, so it sees the question; it must not see an answer.
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
	// The subscriber reads all the time, and is still overrun.
	done := make(chan error)
	go func() {
		for {
			if _, _, err := sock.Receive(); err != nil {
				done <- err
				return
			}
		}
	}()
	if err := lab.A.If.NeighbourStorm(20000); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, unix.ENOBUFS) {
			t.Fatal(err)
		}
	case <-time.After(Patience(soon)):
		// The reader must end before its socket does.
		sock.Close()
		t.Fatal("the subscriber kept up")
	}
	h, _ := lab.A.NS.Netlink()
	list, err := Dump(func() ([]netlink.Neigh, error) { return h.NeighList(lab.A.If.Index(), unix.AF_INET) })
	if err != nil || len(list) != 0 {
		t.Errorf("%d neighbours left (%v)", len(list), err)
	}
}
