// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// exchangeUDP sends one datagram from a to b and checks all that the kernel says about it.
func exchangeUDP(t *testing.T, a, b *Host, from, to netip.Addr, hops, size int) {
	t.Helper()
	r := NewUDPReceiverT(t, b.NS, port(to, 0), UDPReceiverOptions{})
	s := NewUDPSenderT(t, a.NS, UDPSenderOptions{Source: port(from, 0), TOS: 0x28, TTL: 33, Fragmentation: FragmentAllow})
	payload := pattern(size)
	if err := s.Send(r.Local(), payload); err != nil {
		t.Fatal(err)
	}
	got, err := r.Wait(Context(t, soon), 1)
	if err != nil {
		t.Fatal(err)
	}
	d := got[0]
	if !bytes.Equal(d.Payload, payload) {
		t.Errorf("payload of %d bytes differs", size)
	}
	if d.Source != s.Local() || d.Destination != to || d.TOS != 0x28 || d.TTL != 33-hops || d.Ifindex != b.If.Index() {
		t.Errorf("got source %v destination %v TOS %#x TTL %d interface %d, want %v %v 0x28 %d %d", d.Source, d.Destination,
			d.TOS, d.TTL, d.Ifindex, s.Local(), to, 33-hops, b.If.Index())
	}
	if age := time.Since(d.Time); age < 0 || age > time.Minute {
		t.Errorf("time stamp %v", d.Time)
	}
}

func TestLabCarriesBothFamilies(t *testing.T) {
	Require(t, NetNS)
	for name, c := range map[string]struct {
		top  Topology
		hops int
	}{
		"direct":         {Topology{}, 0},
		"direct-static":  {Topology{Neighbours: Static}, 0},
		"direct-queues":  {Topology{A: End{TX: 4, RX: 2}, B: End{TX: 2}}, 0},
		"direct-offload": {Topology{Offloads: true, GRO: true}, 0},
		"direct-jumbo":   {Topology{MTU: 9000}, 0},
		"routed":         {Topology{Shape: Routed}, 1},
		"routed-static":  {Topology{Shape: Routed, Neighbours: Static}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			lab := NewLabT(t, c.top)
			for _, size := range []int{0, 1, 1001, 20000} {
				exchangeUDP(t, lab.A, lab.B, lab.A.IPv4(), lab.B.IPv4(), c.hops, size)
				exchangeUDP(t, lab.B, lab.A, lab.B.IPv6(), lab.A.IPv6(), c.hops, size)
			}
		})
	}
}

func TestLabIsWhatTheTopologySays(t *testing.T) {
	Require(t, NetNS)
	mac := net.HardwareAddr{2, 1, 2, 3, 4, 5}
	addrs := prefixes("192.0.2.1/24", "192.0.2.9/24", "2001:db8::1/64", "2001:db8::9/64")
	lab := NewLabT(t, Topology{MTU: 2000, A: End{Name: "left", MAC: mac, Addrs: addrs, TX: 3, RX: 2},
		B: End{Name: "right", RX: 5, TX: 2}})
	links, err := lab.A.NS.Links()
	if err != nil || len(links) != 1 {
		t.Fatalf("links of A: %v, %v", links, err)
	}
	l := links[0]
	if l.Name != "left" || l.MTU != 2000 || l.MAC != mac.String() || l.TX != 3 || l.RX != 2 ||
		l.OperState != "up" || l.Kind != "veth" {
		t.Errorf("A has %+v", l)
	}
	if len(l.Addrs) != len(addrs) {
		t.Errorf("A has addresses %v, want %v", l.Addrs, addrs)
	}
	if tx, rx, err := lab.B.If.Queues(); tx != 2 || rx != 5 || err != nil {
		t.Errorf("B has %d TX and %d RX queues (%v), want 2 and 5", tx, rx, err)
	}
	if lab.A.If.Index() == lab.B.If.Index() {
		t.Errorf("both ends have index %d", lab.A.If.Index())
	}
	features, err := lab.A.If.Features()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range offloadFeatures {
		if features[f] {
			t.Errorf("%s is on", f)
		}
	}
}

func TestLabWithoutAddressesAndWithoutIPv6(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{NoIPv6: true, A: End{Addrs: []netip.Prefix{}}})
	if len(lab.A.Addrs) != 0 || lab.A.IPv4().IsValid() {
		t.Errorf("A has %v", lab.A.Addrs)
	}
	if lab.B.IPv6().IsValid() || !lab.B.IPv4().IsValid() {
		t.Errorf("B has %v", lab.B.Addrs)
	}
	h, _ := lab.A.NS.Netlink()
	list, err := Dump(func() ([]netlink.Addr, error) { return h.AddrList(nil, unix.AF_INET6) })
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if a.LinkIndex == lab.A.If.Index() {
			t.Errorf("A has IPv6 address %v", a)
		}
	}
}

// Below IPv6's minimum only IPv4 is possible, and 68 is the least of all.
func TestLabWithTheSmallestMTU(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{NoIPv6: true, MTU: 68})
	exchangeUDP(t, lab.A, lab.B, lab.A.IPv4(), lab.B.IPv4(), 0, 500)
}

// Duplicate address detection would take a second or more.
func TestLabIsReadyAtOnce(t *testing.T) {
	Require(t, NetNS)
	for range 5 {
		lab := NewLabT(t, Topology{Shape: Routed})
		// There is no duplicate address detection, so nothing had to be waited for.
		err := lab.B.NS.Do(func() error {
			got, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + lab.B.If.Name() + "/accept_dad")
			if string(got) != "0\n" {
				t.Errorf("accept_dad is %q", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		h, _ := lab.B.NS.Netlink()
		list, err := Dump(func() ([]netlink.Addr, error) { return h.AddrList(nil, unix.AF_INET6) })
		if err != nil {
			t.Fatal(err)
		}
		local := false
		for _, a := range list {
			local = local || a.IP.IsLinkLocalUnicast()
			if a.Flags&unix.IFA_F_TENTATIVE != 0 {
				t.Errorf("%v is tentative", a.IPNet)
			}
		}
		if !local {
			t.Error("B has no link-local address")
		}
	}
}

func TestTopologyProblemsAreAllTold(t *testing.T) {
	_, err := NewLab(Topology{Shape: 9, MTU: 20, FarMTU: 1400, Neighbours: 7, PeerXDP: 9,
		A: End{Name: "a-name-of-16-byte", MAC: net.HardwareAddr{1, 0, 0, 0, 0, 0}, TX: -1, Addrs: []netip.Prefix{{}}}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"shape 9", "MTU 20", "far MTU", "neighbours 7", "XDP action 9",
		"a-name-of-16-byte", "no unicast", "-1 queues", "zero netip.Prefix"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
}

func TestLabFailsWhole(t *testing.T) {
	Require(t, NetNS)
	before := takeInventory()
	// The kernel refuses the second address; by then everything else is there.
	twice := prefixes("10.9.9.9/24", "10.9.9.9/24")
	lab, err := NewLab(Topology{A: End{Addrs: twice}})
	if lab != nil || !errors.Is(err, unix.EEXIST) {
		t.Errorf("got %v, %v; want EEXIST", lab, err)
	}
	for _, leak := range before.leaks(settleTime) {
		t.Error(leak)
	}
}

func TestRoutedPathMTU(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{Shape: Routed, FarMTU: 1300})
	for _, c := range []struct {
		name     string
		src, dst netip.Addr
		overhead int
	}{{"ipv4", lab.A.IPv4(), lab.B.IPv4(), 28}, {"ipv6", lab.A.IPv6(), lab.B.IPv6(), 48}} {
		t.Run(c.name, func(t *testing.T) {
			r := NewUDPReceiverT(t, lab.B.NS, port(c.dst, 0), UDPReceiverOptions{})
			s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Source: port(c.src, 0), Fragmentation: FragmentForbid})
			// The first goes out and meets the router, whose answer makes the kernel refuse the next.
			if err := s.Send(r.Local(), pattern(1400)); err != nil {
				t.Fatal(err)
			}
			Eventually(t, soon, "path MTU to be learned", func() bool {
				return errors.Is(s.Send(r.Local(), pattern(1400)), unix.EMSGSIZE)
			})
			if err := s.Send(r.Local(), pattern(1300-c.overhead)); err != nil {
				t.Errorf("exactly the path MTU: %v", err)
			}
			if got, err := r.Wait(Context(t, soon), 1); err != nil || len(got[0].Payload) != 1300-c.overhead {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestStackedDevices(t *testing.T) {
	Require(t, NetNS)
	t.Run("macvlan", func(t *testing.T) {
		lab := NewLabT(t, Topology{})
		p := prefixes("10.88.0.1/24", "fd88::1/64")
		mv, err := lab.A.If.Macvlan("mv0", net.HardwareAddr{2, 9, 9, 9, 9, 9}, p...)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range prefixes("10.88.0.2/24", "fd88::2/64") {
			if err := lab.B.If.AddAddr(b); err != nil {
				t.Fatal(err)
			}
		}
		upper := &Host{NS: lab.A.NS, If: mv, Addrs: p}
		exchangeUDP(t, lab.B, upper, netip.MustParseAddr("10.88.0.2"), p[0].Addr(), 0, 100)
		exchangeUDP(t, lab.B, upper, netip.MustParseAddr("fd88::2"), p[1].Addr(), 0, 100)
	})
	t.Run("bridge", func(t *testing.T) {
		lab := NewLabT(t, Topology{})
		br, err := lab.A.If.Bridge("br0", lab.A.Addrs...)
		if err != nil {
			t.Fatal(err)
		}
		upper := &Host{NS: lab.A.NS, If: br, Addrs: lab.A.Addrs}
		exchangeUDP(t, lab.B, upper, lab.B.IPv4(), lab.A.IPv4(), 0, 100)
		exchangeUDP(t, upper, lab.B, lab.A.IPv6(), lab.B.IPv6(), 0, 100)
	})
	t.Run("vlan", func(t *testing.T) {
		lab := NewLabT(t, Topology{})
		p, q := prefixes("10.99.0.1/24")[0], prefixes("10.99.0.2/24")[0]
		va, err := lab.A.If.VLAN("wsk0.7", 7, p)
		if errors.Is(err, ErrNotSupported) {
			t.Logf("this kernel says so clearly: %v", err)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		vb, err := lab.B.If.VLAN("wsk1.7", 7, q)
		if err != nil {
			t.Fatal(err)
		}
		exchangeUDP(t, &Host{NS: lab.A.NS, If: va}, &Host{NS: lab.B.NS, If: vb}, p.Addr(), q.Addr(), 0, 100)
	})
}

func TestStaticNeighboursNeedNoResolution(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{Neighbours: Static})
	for _, ip := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
		n, ok, err := lab.A.If.Neighbour(ip)
		if err != nil || !ok || n.State != unix.NUD_PERMANENT || n.HardwareAddr.String() != lab.B.If.MAC().String() {
			t.Errorf("neighbour %v: %v %v %v", ip, n, ok, err)
		}
	}
	dynamic := NewLabT(t, Topology{})
	if _, ok, err := dynamic.A.If.Neighbour(dynamic.B.IPv4()); ok || err != nil {
		t.Errorf("a dynamic lab starts with a neighbour (%v)", err)
	}
}

func TestAwaitOperTimesOutWithTheState(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{})
	err := lab.A.If.AwaitOper(netlink.OperDown, 20*time.Millisecond)
	if !errors.Is(err, errNotYet) || !strings.Contains(err.Error(), "wsk0") || !strings.Contains(err.Error(), "up") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkNewLab(b *testing.B) {
	if err := Check(NetNS); err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		lab, err := NewLab(Topology{})
		if err != nil {
			b.Fatal(err)
		}
		lab.Close()
	}
}
