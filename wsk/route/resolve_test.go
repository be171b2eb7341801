// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func ipNet(s string) *net.IPNet {
	p := netip.MustParsePrefix(s)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// hop is a Hop without its Device and OnLink.
func hop(kind Kind, index int, gateway, source netip.Addr, mtu int) Hop {
	return Hop{Kind: kind, Interface: index, Gateway: gateway, Source: source, MTU: mtu}
}

func TestResolve(t *testing.T) {
	lab := newLab(t, testenv.Topology{Shape: testenv.Routed})
	h := handle(t, lab.A.NS)
	index := lab.A.If.Index()
	for _, r := range []netlink.Route{
		{Dst: ipNet("198.51.100.0/26"), Type: unix.RTN_UNREACHABLE},
		{Dst: ipNet("198.51.100.64/26"), Type: unix.RTN_PROHIBIT},
		{Dst: ipNet("198.51.100.128/26"), Type: unix.RTN_BLACKHOLE},
		{Dst: ipNet("2001:db8:1::/64"), Type: unix.RTN_UNREACHABLE},
		{Dst: ipNet("2001:db8:2::/64"), Type: unix.RTN_PROHIBIT},
		{Dst: ipNet("2001:db8:3::/64"), Type: unix.RTN_BLACKHOLE},
		{Dst: ipNet("203.0.113.0/25"), LinkIndex: index, Gw: net.IP{10, 77, 0, 254}, MTU: 1300},
		{Dst: ipNet("203.0.113.128/25"), LinkIndex: index, Gw: net.IP{10, 9, 9, 9}, Flags: int(netlink.FLAG_ONLINK)},
		{Dst: ipNet("192.0.2.0/25"), LinkIndex: index, Via: &netlink.Via{AddrFamily: unix.AF_INET6, Addr: addr("fd77::fe").AsSlice()}},
		{Dst: ipNet("2001:db8:4::/64"), LinkIndex: index, Gw: addr("fd77::fe").AsSlice(), MTU: 1280},
	} {
		if err := h.RouteAdd(&r); err != nil {
			t.Fatalf("%v: %v", r.Dst, err)
		}
	}
	second := netip.MustParsePrefix("10.77.0.33/24")
	must(t, lab.A.If.AddAddr(second))
	must(t, addPair(h, "other"))
	must(t, setUp(h, "other", "other-end"))
	other, err := testenv.FindIface(lab.A.NS, "other")
	must(t, err)
	must(t, other.AddAddr(netip.MustParsePrefix("10.99.0.1/24")))
	must(t, other.AddAddr(netip.MustParsePrefix("fd99::1/64")))
	table := open(t, lab, Options{})
	lo := 1
	gw4, gw6 := addr("10.77.0.254"), addr("fd77::fe")
	v4, v6 := lab.A.IPv4(), lab.A.IPv6()
	for name, test := range map[string]struct {
		q    Query
		want Hop
	}{
		"on-link": {
			Query{Dst: addr("10.77.0.7")},
			hop(Unicast, index, addr("10.77.0.7"), v4, 1500),
		},
		"on-link-6": {
			Query{Dst: addr("fd77::7")},
			hop(Unicast, index, addr("fd77::7"), v6, 1500),
		},
		"mapped": {
			Query{Dst: addr("::ffff:10.77.0.7")},
			hop(Unicast, index, addr("10.77.0.7"), v4, 1500),
		},
		"gateway": {
			Query{Dst: lab.B.IPv4()},
			hop(Unicast, index, gw4, v4, 1500),
		},
		"gateway-6": {
			Query{Dst: lab.B.IPv6()},
			hop(Unicast, index, gw6, v6, 1500),
		},
		"route-mtu": {
			Query{Dst: addr("203.0.113.1")},
			hop(Unicast, index, gw4, v4, 1300),
		},
		"route-mtu-6": {
			Query{Dst: addr("2001:db8:4::1")},
			hop(Unicast, index, gw6, v6, 1280),
		},
		"off-link-gateway": {
			Query{Dst: addr("203.0.113.200")},
			hop(Unicast, index, addr("10.9.9.9"), v4, 1500),
		},
		"via-ipv6": {
			Query{Dst: addr("192.0.2.1")},
			hop(Unicast, index, gw6, v4, 1500),
		},
		"source": {
			Query{Dst: lab.B.IPv4(), Src: second.Addr()},
			hop(Unicast, index, gw4, second.Addr(), 1500),
		},
		"source-interface": {
			Query{Dst: lab.B.IPv4(), Src: second.Addr(), Interface: index},
			hop(Unicast, index, gw4, second.Addr(), 1500),
		},
		"source-6": {
			Query{Dst: lab.B.IPv6(), Src: v6},
			hop(Unicast, index, gw6, v6, 1500),
		},
		"weak-host-source": {
			Query{Dst: lab.B.IPv4(), Src: addr("10.99.0.1")},
			hop(Unicast, index, gw4, addr("10.99.0.1"), 1500),
		},
		"interface": {
			Query{Dst: addr("10.50.0.1"), Interface: other.Index()},
			hop(Unicast, other.Index(), addr("10.50.0.1"), addr("10.99.0.1"), 1500),
		},
		"source-of-another-interface": {
			Query{Dst: lab.B.IPv4(), Src: v4, Interface: other.Index()},
			hop(Unicast, other.Index(), lab.B.IPv4(), v4, 1500),
		},
		"local": {
			Query{Dst: v4},
			hop(Local, lo, v4, v4, 65536),
		},
		"local-127": {
			Query{Dst: addr("127.0.0.9")},
			hop(Local, lo, addr("127.0.0.9"), addr("127.0.0.1"), 65536),
		},
		"broadcast": {
			Query{Dst: addr("10.77.0.255")},
			hop(Broadcast, index, addr("10.77.0.255"), v4, 1500),
		},
		"limited-broadcast": {
			Query{Dst: addr("255.255.255.255"), Interface: index},
			hop(Broadcast, index, addr("255.255.255.255"), v4, 1500),
		},
		"broadcast-by-default-route": {
			Query{Dst: addr("255.255.255.255")},
			hop(Broadcast, index, addr("255.255.255.255"), v4, 1500),
		},
		"multicast": {
			Query{Dst: addr("239.1.2.3"), Interface: other.Index()},
			hop(Multicast, other.Index(), addr("239.1.2.3"), addr("10.99.0.1"), 1500),
		},
		"multicast-by-default-route": {
			Query{Dst: addr("239.1.2.3")},
			hop(Multicast, index, addr("239.1.2.3"), v4, 1500),
		},
		"multicast-6": {
			Query{Dst: addr("ff05::1"), Interface: other.Index()},
			hop(Multicast, other.Index(), addr("ff05::1"), addr("fd99::1"), 1500),
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.OnLink = test.want.Gateway == test.q.Dst.Unmap()
			for round := range 2 { // the second answer is the cached one
				got, err := table.Resolve(t.Context(), test.q)
				if err != nil {
					t.Fatal(err)
				}
				d, _ := table.Device(test.want.Interface)
				test.want.Device = d
				if got != test.want {
					t.Errorf("round %d\n got %+v\nwant %+v", round, got, test.want)
				}
			}
		})
	}
	for name, test := range map[string]struct {
		q    Query
		errs []error
	}{
		"unreachable":          {Query{Dst: addr("198.51.100.1")}, []error{ErrNoRoute, ErrHostUnreachable, unix.EHOSTUNREACH}},
		"prohibit":             {Query{Dst: addr("198.51.100.65")}, []error{ErrNoRoute, ErrProhibited, unix.EACCES}},
		"blackhole":            {Query{Dst: addr("198.51.100.129")}, []error{ErrNoRoute, ErrBlackhole, unix.EINVAL}},
		"unreachable-6":        {Query{Dst: addr("2001:db8:1::1")}, []error{ErrNoRoute, ErrHostUnreachable, unix.EHOSTUNREACH}},
		"prohibit-6":           {Query{Dst: addr("2001:db8:2::1")}, []error{ErrNoRoute, ErrProhibited, unix.EACCES}},
		"blackhole-6":          {Query{Dst: addr("2001:db8:3::1")}, []error{ErrNoRoute, ErrBlackhole, unix.EINVAL}},
		"blackhole-source":     {Query{Dst: addr("198.51.100.129"), Src: v4}, []error{ErrNoRoute, unix.EINVAL}},
		"foreign-source":       {Query{Dst: lab.B.IPv4(), Src: addr("10.77.0.99")}, []error{ErrSource}},
		"foreign-source-6":     {Query{Dst: lab.B.IPv6(), Src: addr("fd77::99")}, []error{ErrSource}},
		"link-local-elsewhere": {Query{Dst: addr("fe80::7"), Src: linkLocal(t, lab.A.If), Interface: other.Index()}, []error{ErrSource}},
		"no-device":            {Query{Dst: lab.B.IPv4(), Interface: 12345}, []error{ErrNoDevice}},
		"no-device-6":          {Query{Dst: lab.B.IPv6(), Interface: 12345}, []error{ErrNoDevice}},
		"no-scope":             {Query{Dst: addr("fe80::7")}, []error{ErrScope, ErrNoDevice}},
	} {
		t.Run(name, func(t *testing.T) {
			hop, err := table.Resolve(t.Context(), test.q)
			if err == nil {
				t.Fatalf("got %+v", hop)
			}
			for _, want := range test.errs {
				if !errors.Is(err, want) {
					t.Errorf("%v isn't %v", err, want)
				}
			}
			t.Log(err)
		})
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := table.Resolve(cancelled, Query{Dst: lab.B.IPv4()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestResolveNoRoute(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	for _, dst := range []string{"192.0.2.1", "2001:db8::1", "255.255.255.255", "239.1.2.3"} {
		if hop, err := table.Resolve(t.Context(), Query{Dst: addr(dst)}); !errors.Is(err, ErrNoRoute) || !errors.Is(err, unix.ENETUNREACH) {
			t.Errorf("%s: %+v, %v", dst, hop, err)
		}
	}
	// Over the interface by name, a link-local destination is reached from the link-local address.
	for _, dst := range []netip.Addr{addr("fe80::7").WithZone(lab.A.If.Name()), addr("fe80::7")} {
		hop, err := table.Resolve(t.Context(), Query{Dst: dst, Interface: lab.A.If.Index()})
		if err != nil || hop.Gateway != addr("fe80::7") || !hop.OnLink || !hop.Source.IsLinkLocalUnicast() {
			t.Errorf("%v: %+v, %v", dst, hop, err)
		}
		if !table.IsLocal(hop.Source.WithZone(lab.A.If.Name())) {
			t.Errorf("source %v isn't local", hop.Source)
		}
	}
}

// What the kernel announces ends an answer; so does what it doesn't announce but is found out.
func TestResolveFollowsChanges(t *testing.T) {
	lab := newLab(t, testenv.Topology{Shape: testenv.Routed})
	table := open(t, lab, Options{CacheTTL: time.Hour})
	h := handle(t, lab.A.NS)
	dst := lab.B.IPv4()
	resolve := func() Hop {
		t.Helper()
		hop, err := table.Resolve(t.Context(), Query{Dst: dst})
		must(t, err)
		return hop
	}
	if hop := resolve(); hop.Gateway != addr("10.77.0.254") {
		t.Fatalf("%+v", hop)
	}
	specific := netip.PrefixFrom(dst, 32)
	grows(t, table, "a route", func() error { return lab.A.If.AddRoute(specific, addr("10.77.0.9")) })
	if hop := resolve(); hop.Gateway != addr("10.77.0.9") {
		t.Errorf("after the route: %+v", hop)
	}
	grows(t, table, "the removal of a route", func() error { return lab.A.If.DeleteRoute(specific, addr("10.77.0.9")) })
	if hop := resolve(); hop.Gateway != addr("10.77.0.254") {
		t.Errorf("after the removal: %+v", hop)
	}
	grows(t, table, "the MTU", func() error { return lab.A.If.SetMTU(1400) })
	if hop := resolve(); hop.MTU != 1400 || hop.Device.MTU != 1400 {
		t.Errorf("after the MTU: %+v", hop)
	}
	testenv.Eventually(t, patience, "the IPv6 MTU", func() bool {
		hop, err := table.Resolve(t.Context(), Query{Dst: lab.B.IPv6()})
		return err == nil && hop.MTU == 1400
	})
	grows(t, table, "the MAC", func() error { return lab.A.If.SetMAC(net.HardwareAddr{2, 0x77, 0, 0, 0, 0xaa}) })
	if hop := resolve(); hop.Device.MAC != [6]byte{2, 0x77, 0, 0, 0, 0xaa} {
		t.Errorf("after the MAC: %+v", hop)
	}
	rule := netlink.NewRule()
	rule.Priority, rule.Mark, rule.Type = 100, 7, unix.FR_ACT_PROHIBIT
	grows(t, table, "a rule", func() error { return h.RuleAdd(rule) })
	if _, err := table.Resolve(t.Context(), Query{Dst: dst, Mark: 7}); !errors.Is(err, unix.EACCES) {
		t.Errorf("with the mark: %v", err)
	}
	resolve()
	grows(t, table, "the removal of a rule", func() error { return h.RuleDel(rule) })
	if _, err := table.Resolve(t.Context(), Query{Dst: dst, Mark: 7}); err != nil {
		t.Errorf("with the mark, without the rule: %v", err)
	}
	tos := netlink.Route{Dst: ipNet("10.77.1.0/24"), LinkIndex: lab.A.If.Index(), Gw: net.IP{10, 77, 0, 8}, Tos: 0x10}
	grows(t, table, "a TOS route", func() error { return h.RouteAdd(&tos) })
	if hop, err := table.Resolve(t.Context(), Query{Dst: dst, TOS: 0x13}); err != nil || hop.Gateway != addr("10.77.0.8") {
		t.Errorf("with TOS: %+v, %v", hop, err)
	}
	if hop := resolve(); hop.Gateway != addr("10.77.0.254") {
		t.Errorf("without TOS: %+v", hop)
	}
}

// The kernel doesn't announce that a downed device takes its IPv4 routes along; the table finds out, and the flags
// alone are no generation.
func TestResolveFollowsFlags(t *testing.T) {
	lab := newLab(t, testenv.Topology{NoIPv6: true})
	table := open(t, lab, Options{CacheTTL: time.Hour})
	w := newWatch(t, table)
	h := handle(t, lab.A.NS)
	must(t, addPair(h, "other"))
	w.wait(t, "other", func(e Event) bool { return e.Kind == LinkAdded && e.Name == "other" })
	other, _ := table.DeviceByName("other")
	q := Query{Dst: lab.B.IPv4()}
	_, err := table.Resolve(t.Context(), q)
	must(t, err)
	settle(t, lab, table)
	_, err = table.Resolve(t.Context(), q)
	must(t, err)
	gen := table.Generation()
	must(t, setUp(h, "other"))
	w.kind(t, LinkUp, other.Index)
	must(t, lab.B.If.SetDown())
	w.wait(t, "loss of carrier", func(e Event) bool { return e.Kind == Carrier && e.Interface == lab.A.If.Index() && !e.Carrier })
	if d, _ := table.Device(lab.A.If.Index()); d.Carrier || !d.Up {
		t.Errorf("device %+v", d)
	}
	if now := table.Generation(); now != gen {
		t.Errorf("generation %d after flags alone, was %d", now, gen)
	}
	hop, err := table.Resolve(t.Context(), q)
	if err != nil || hop.Device.Carrier {
		t.Errorf("without carrier: %+v, %v", hop, err)
	}
	grows(t, table, "a downed device", lab.A.If.SetDown)
	if hop, err := table.Resolve(t.Context(), q); !errors.Is(err, ErrNoRoute) {
		t.Errorf("over a downed device: %+v, %v", hop, err)
	}
}

// TestAskedTooEarly: a link that goes down is announced before its routes are taken out, which is not announced. Who asks in between is
// not told the old way for ever.
func TestAskedTooEarly(t *testing.T) {
	lab := newLab(t, testenv.Topology{NoIPv6: true})
	var early atomic.Bool
	announced := make(chan struct{})
	table := open(t, lab, Options{CacheTTL: time.Hour,
		asBefore: early.Load,
		unsettled: func() {
			if early.Load() {
				<-announced
			}
		},
	})
	w := newWatch(t, table)
	q := Query{Dst: lab.B.IPv4()}
	settle(t, lab, table)
	_, err := table.Resolve(t.Context(), q)
	must(t, err)
	grows(t, table, "a downed device", func() error {
		early.Store(true)
		if err := lab.A.If.SetDown(); err != nil {
			return err
		}
		w.kind(t, LinkDown, lab.A.If.Index())
		_, err := table.Resolve(t.Context(), q)
		early.Store(false)
		close(announced)
		if errors.Is(err, ErrNoRoute) {
			t.Log("the kernel was through with the change before it was asked")
			return nil
		}
		return err
	})
	if hop, err := table.Resolve(t.Context(), q); !errors.Is(err, ErrNoRoute) {
		t.Errorf("over a downed device: %+v, %v", hop, err)
	}
}

// A path MTU learned from ICMP is no event. Flush finds it; so does the end of CacheTTL.
func TestPathMTU(t *testing.T) {
	for _, version := range []int{4, 6} {
		t.Run(fmt.Sprintf("ipv%d-flush", version), func(t *testing.T) {
			for range 5 {
				if isPathMTUFlushed(t, version) {
					return
				}
			}
			t.Error("something else has bumped the generation, five times")
		})
		t.Run(fmt.Sprintf("ipv%d-expiry", version), func(t *testing.T) {
			lab, table, resolve := pathMTULab(t, version, 50*time.Millisecond)
			gen := table.Generation()
			learnPathMTU(t, lab, addressOf(lab.B, version))
			testenv.Eventually(t, patience, "the answer to expire", func() bool { return resolve() == 1300 })
			if table.Generation() <= gen {
				t.Error("the generation hasn't grown")
			}
		})
	}
}

// isPathMTUFlushed reports false where something else, announced late, has had the table ask anew, so that nothing was to be seen.
func isPathMTUFlushed(t *testing.T, version int) bool {
	lab, table, resolve := pathMTULab(t, version, time.Hour)
	gen := table.Generation()
	learnPathMTU(t, lab, addressOf(lab.B, version))
	if table.Generation() != gen {
		return false
	}
	table.Flush(lab.A.IPv4()) // about another destination
	flushed := table.Generation()
	before := resolve()
	if table.Generation() != flushed {
		return false
	}
	if before != 1500 {
		t.Fatalf("MTU %d, without Flush for the destination", before)
	}
	table.Flush(addressOf(lab.B, version))
	if table.Generation() <= gen {
		t.Error("the generation hasn't grown")
	}
	if after := resolve(); after != 1300 {
		t.Errorf("MTU %d after", after)
	}
	return true
}

func addressOf(h *testenv.Host, version int) netip.Addr {
	if version == 6 {
		return h.IPv6()
	}
	return h.IPv4()
}

// pathMTULab is a lab with a hop of 1300 bytes on the way, and the function that asks the table, which knows nothing of that yet, for the
// MTU to B.
func pathMTULab(t *testing.T, version int, ttl time.Duration) (lab *testenv.Lab, table *Table, resolve func() int) {
	t.Helper()
	lab = newLab(t, testenv.Topology{Shape: testenv.Routed, FarMTU: 1300})
	table = open(t, lab, Options{CacheTTL: ttl})
	resolve = func() int {
		t.Helper()
		hop, err := table.Resolve(t.Context(), Query{Dst: addressOf(lab.B, version)})
		must(t, err)
		return hop.MTU
	}
	settle(t, lab, table)
	if mtu := resolve(); mtu != 1500 {
		t.Fatalf("MTU %d before", mtu)
	}
	return lab, table, resolve
}

// learnPathMTU makes A's kernel learn the MTU of the far hop: a datagram too big for it, with DF, sent by a connected
// socket, whose error says that the ICMP message has come.
func learnPathMTU(t *testing.T, lab *testenv.Lab, dst netip.Addr) {
	t.Helper()
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: 9, Addr: [4]byte(dst.AsSlice()[:4])}
	if dst.Is6() {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
		to = &unix.SockaddrInet6{Port: 9, Addr: dst.As16()}
	}
	fd, err := lab.A.NS.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.SetsockoptInt(fd, level, option, unix.IP_PMTUDISC_DO))
	must(t, unix.Connect(fd, to))
	testenv.Eventually(t, patience, "the path MTU", func() bool {
		err := unix.Sendto(fd, make([]byte, 1400), 0, nil)
		return errors.Is(err, unix.EMSGSIZE)
	})
}

func TestTransmitOverMACVLANAndBridge(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	upper, err := lab.A.If.Macvlan("mv", nil, netip.MustParsePrefix("10.66.0.1/24"))
	must(t, err)
	table := open(t, lab, Options{})
	w := newWatch(t, table)
	hop, err := table.Resolve(t.Context(), Query{Dst: addr("10.66.0.9")})
	must(t, err)
	if hop.Interface != upper.Index() || hop.Device.Type != TypeMACVLAN || hop.Device.Parent != lab.A.If.Index() {
		t.Errorf("%+v", hop)
	}
	// In bridge mode a frame may be for a sibling.
	if e, why := table.Transmit(hop, 0); e.Device.Index != upper.Index() || e.VLANs != nil {
		t.Errorf("bridge mode: %+v, %v", e, why)
	}
	h := handle(t, lab.A.NS)
	must(t, h.LinkAdd(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "vepa", ParentIndex: lab.A.If.Index()}, Mode: netlink.MACVLAN_MODE_VEPA,
	}))
	w.wait(t, "vepa", func(e Event) bool { return e.Kind == LinkAdded && e.Name == "vepa" })
	vepa, _ := table.DeviceByName("vepa")
	if e, why := table.Transmit(Hop{Kind: Unicast, Interface: vepa.Index}, 0); e.Device.Index != lab.A.If.Index() {
		t.Errorf("VEPA: %+v, %v", e, why)
	}
	must(t, h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br"}}))
	w.wait(t, "br", func(e Event) bool { return e.Kind == LinkAdded && e.Name == "br" })
	bridge, _ := table.DeviceByName("br")
	if e, why := table.Transmit(Hop{Kind: Unicast, Interface: bridge.Index}, 0); e.Device != bridge || bridge.Type != TypeBridge {
		t.Errorf("bridge: %+v, %v", e, why)
	}
	// A port that joins and leaves changes paths, and its leaving isn't the end of the device.
	port := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Index: vepa.Index}}
	must(t, addPair(h, "p0"))
	w.wait(t, "p0", func(e Event) bool { return e.Kind == LinkAdded && e.Name == "p0" })
	p0, _ := table.DeviceByName("p0")
	port.Index = p0.Index
	grows(t, table, "a master", func() error { return h.LinkSetMasterByIndex(port, bridge.Index) })
	testenv.Eventually(t, patience, "the master", func() bool { d, _ := table.Device(p0.Index); return d.Master == bridge.Index })
	must(t, h.LinkSetNoMaster(port))
	testenv.Eventually(t, patience, "no master", func() bool { d, ok := table.Device(p0.Index); return ok && d.Master == 0 })
}

// linkLocal is the interface's own link-local address.
func linkLocal(t *testing.T, i *testenv.Iface) netip.Addr {
	t.Helper()
	h := handle(t, i.Namespace())
	l, err := h.LinkByIndex(i.Index())
	must(t, err)
	list, err := h.AddrList(l, unix.AF_INET6)
	must(t, err)
	for _, a := range list {
		if ip, _ := netip.AddrFromSlice(a.IP); ip.IsLinkLocalUnicast() {
			return ip
		}
	}
	t.Fatal("no link-local address")
	return netip.Addr{}
}
