// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

const (
	far4, far6 = "198.51.100.9", "2001:db8::9"
	other4     = "10.78.0.1/24"
	other6     = "fd78::1/64"
)

// twoWays is a host with a link "two" beside its first, gateways on both, and by default everything by the first.
func twoWays(t *testing.T) (*judge, *netlink.Handle) {
	t.Helper()
	lab := newLab(t, testenv.Topology{})
	j := newJudge(t, lab, "two")
	must(t, j.links[1].AddAddr(netip.MustParsePrefix(other4)))
	must(t, j.links[1].AddAddr(netip.MustParsePrefix(other6)))
	j.knows(0, "10.77.0.254", "fd77::fe", "fe80::77")
	j.knows(1, "10.78.0.254", "fd78::fe", "fe80::77")
	h := handle(t, lab.A.NS)
	must(t, h.RouteAdd(via(0, j, "0.0.0.0/0", "10.77.0.254")))
	must(t, h.RouteAdd(via(0, j, "::/0", "fd77::fe")))
	return j, h
}

// via is a route in a table (0: main) through the link on which the gateway is.
func via(table int, j *judge, dst, gateway string) *netlink.Route {
	gw := addr(gateway)
	link := j.links[0]
	if len(j.links) > 1 && (netip.MustParsePrefix(other4).Masked().Contains(gw) || netip.MustParsePrefix(other6).Masked().Contains(gw)) {
		link = j.links[1]
	}
	return &netlink.Route{Table: table, Dst: ipNet(dst), Gw: gw.AsSlice(), LinkIndex: link.Index()}
}

// byTwo puts a default route by the second link into table 53, for both families.
func byTwo(t *testing.T, j *judge, h *netlink.Handle) {
	t.Helper()
	must(t, h.RouteAdd(via(53, j, "0.0.0.0/0", "10.78.0.254")))
	must(t, h.RouteAdd(via(53, j, "::/0", "fd78::fe")))
}

// bothFamilies adds a rule to either family.
func bothFamilies(t *testing.T, h *netlink.Handle, set func(*netlink.Rule)) {
	t.Helper()
	rule(t, h, unix.AF_INET, set)
	rule(t, h, unix.AF_INET6, set)
}

// Each answer is the one that the kernel's own socket gives when it sends.
func TestAskedAsTheSocketWould(t *testing.T) {
	ports := func(list ...uint16) (out []Query) {
		for _, p := range list {
			out = append(out, Query{Dst: addr(far4), DstPort: p, SrcPort: 4000}, Query{Dst: addr(far6), DstPort: p, SrcPort: 4000})
		}
		return out
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, j *judge, h *netlink.Handle)
		ask     func(j *judge) []Query
		links   int // how many links the kernel must have used, so that the test tests
	}{
		"rule by destination port": {func(t *testing.T, j *judge, h *netlink.Handle) {
			byTwo(t, j, h)
			bothFamilies(t, h, func(r *netlink.Rule) { r.Dport, r.Table = netlink.NewRulePortRange(53, 53), 53 })
		}, func(*judge) []Query { return ports(52, 53, 54) }, 2},
		"rule by source port": {func(t *testing.T, j *judge, h *netlink.Handle) {
			byTwo(t, j, h)
			bothFamilies(t, h, func(r *netlink.Rule) { r.Sport, r.Table = netlink.NewRulePortRange(5000, 5010), 53 })
		}, func(*judge) []Query {
			return []Query{
				{Dst: addr(far4), DstPort: 9, SrcPort: 5000}, {Dst: addr(far4), DstPort: 9, SrcPort: 4999},
				{Dst: addr(far6), DstPort: 9, SrcPort: 5010}, {Dst: addr(far6), DstPort: 9, SrcPort: 5011},
			}
		}, 2},
		"rule that prohibits ports": {func(t *testing.T, j *judge, h *netlink.Handle) {
			bothFamilies(t, h, func(r *netlink.Rule) {
				r.Dport, r.Type = netlink.NewRulePortRange(9000, 9010), unix.FR_ACT_PROHIBIT
			})
		}, func(*judge) []Query { return ports(8999, 9000, 9010, 9011) }, 1},
		"rule by protocol": {func(t *testing.T, j *judge, h *netlink.Handle) {
			byTwo(t, j, h)
			bothFamilies(t, h, func(r *netlink.Rule) { r.IPProto, r.Table = unix.IPPROTO_UDP, 53 })
		}, func(*judge) []Query { return ports(9) }, 1},
		"rule by user": {func(t *testing.T, j *judge, h *netlink.Handle) {
			byTwo(t, j, h)
			bothFamilies(t, h, func(r *netlink.Rule) { r.UIDRange, r.Table = netlink.NewRuleUIDRange(1234, 1240), 53 })
		}, func(*judge) []Query {
			return []Query{
				{Dst: addr(far4), DstPort: 9}, {Dst: addr(far4), DstPort: 9, Owner: OwnerUID(1240)},
				{Dst: addr(far6), DstPort: 9}, {Dst: addr(far6), DstPort: 9, Owner: OwnerUID(1234)},
			}
		}, 2},
		"rule by mark": {func(t *testing.T, j *judge, h *netlink.Handle) {
			byTwo(t, j, h)
			bothFamilies(t, h, func(r *netlink.Rule) { r.Mark, r.Table = 7, 53 })
		}, func(*judge) []Query {
			return []Query{
				{Dst: addr(far4), DstPort: 9, Mark: 7}, {Dst: addr(far4), DstPort: 9, Mark: 8},
				{Dst: addr(far6), DstPort: 9, Mark: 7}, {Dst: addr(far6), DstPort: 9},
			}
		}, 2},
		"rule by TOS": {func(t *testing.T, j *judge, h *netlink.Handle) {
			byTwo(t, j, h)
			bothFamilies(t, h, func(r *netlink.Rule) { r.Tos, r.Table = 0x18, 53 })
		}, func(*judge) (list []Query) {
			for _, tos := range []uint8{0, 0x18, 0x1a, 0xb8, 0x10} {
				list = append(list, Query{Dst: addr(far4), DstPort: 9, TOS: tos})
				if tos&3 == 0 || kernelAtLeast(5, 18) { // before, IPv6 compared the ECN bits too
					list = append(list, Query{Dst: addr(far6), DstPort: 9, TOS: tos})
				}
			}
			return list
		}, 2},
		"rule by device of the socket": {func(t *testing.T, j *judge, h *netlink.Handle) {
			byTwo(t, j, h)
			bothFamilies(t, h, func(r *netlink.Rule) { r.OifName, r.Table = "two", 53 })
		}, func(j *judge) []Query {
			two := j.links[1].Index()
			return []Query{
				{Dst: addr(far4), DstPort: 9, Bound: two}, {Dst: addr(far6), DstPort: 9, Bound: two},
				{Dst: addr(far4), DstPort: 9, Interface: two}, {Dst: addr(far6), DstPort: 9, Interface: two},
				{Dst: addr(far4), DstPort: 9}, {Dst: addr(far6), DstPort: 9},
			}
		}, 2},
		"IPv6 with routes for sources only": {func(t *testing.T, j *judge, h *netlink.Handle) {
			must(t, h.RouteDel(via(0, j, "::/0", "fd77::fe")))
			byTwo(t, j, h)
			rule(t, h, unix.AF_INET6, func(r *netlink.Rule) { r.Src, r.Table = ipNet("fd78::/64"), 53 })
			// The address that the kernel prefers for this destination (RFC 6724 rule 8).
			must(t, j.links[1].AddAddr(netip.MustParsePrefix("2001:db8:78::1/64")))
			rule(t, h, unix.AF_INET6, func(r *netlink.Rule) { r.Src, r.Table, r.Priority = ipNet("2001:db8:78::/64"), 53, 101 })
		}, func(*judge) []Query {
			return []Query{
				{Dst: addr(far6), DstPort: 9}, {Dst: addr(far6), DstPort: 9, Src: addr("fd78::1")},
				{Dst: addr(far6), DstPort: 9, Src: addr("fd77::1")},
			}
		}, 1},
		"source of another interface": {func(*testing.T, *judge, *netlink.Handle) {}, func(j *judge) []Query {
			two := j.links[1].Index()
			return []Query{
				{Dst: addr("10.78.0.254"), DstPort: 9, Src: addr("10.77.0.1"), Interface: two},
				{Dst: addr("fd78::fe"), DstPort: 9, Src: addr("fd77::1"), Interface: two},
				{Dst: addr("fd78::fe"), DstPort: 9, Src: addr("fd77::1"), Bound: two},
				{Dst: addr(far4), DstPort: 9, Src: addr("10.78.0.1")}, {Dst: addr(far6), DstPort: 9, Src: addr("fd78::1")},
			}
		}, 2},
		"bound where no route leads": {func(t *testing.T, j *judge, h *netlink.Handle) {
			j.knows(1, far4, far6)
		}, func(j *judge) []Query {
			two := j.links[1].Index()
			return []Query{
				{Dst: addr(far4), DstPort: 9, Bound: two}, {Dst: addr(far6), DstPort: 9, Bound: two},
				{Dst: addr(far6), DstPort: 9, Bound: two, Src: addr("fd78::1")},
				{Dst: addr(far6), DstPort: 9, Interface: two, Src: addr("fd78::1")},
			}
		}, 2},
		"link-local": {func(t *testing.T, j *judge, h *netlink.Handle) {}, func(j *judge) []Query {
			one, two := linkLocal(j.t, j.links[0]), linkLocal(j.t, j.links[1])
			return []Query{
				{Dst: addr("fe80::77%two"), DstPort: 9}, {Dst: addr("fe80::77"), DstPort: 9, Src: two.WithZone("two")},
				{Dst: addr("fe80::77"), DstPort: 9, Src: one.WithZone("wsk0")},
				{Dst: addr("ff02::77"), DstPort: 9, Src: two.WithZone("two")},
				{Dst: addr("ff02::77"), DstPort: 9, Bound: j.links[1].Index()},
			}
		}, 2},
		"types of routes": {func(t *testing.T, j *judge, h *netlink.Handle) {
			for _, r := range []netlink.Route{
				{Dst: ipNet("192.0.2.0/28"), Type: unix.RTN_UNREACHABLE}, {Dst: ipNet("192.0.2.16/28"), Type: unix.RTN_PROHIBIT},
				{Dst: ipNet("192.0.2.32/28"), Type: unix.RTN_BLACKHOLE}, {Dst: ipNet("192.0.2.48/28"), Type: unix.RTN_THROW},
				{Dst: ipNet("2001:db8:1::/64"), Type: unix.RTN_UNREACHABLE}, {Dst: ipNet("2001:db8:2::/64"), Type: unix.RTN_PROHIBIT},
				{Dst: ipNet("2001:db8:3::/64"), Type: unix.RTN_BLACKHOLE}, {Dst: ipNet("2001:db8:4::/64"), Type: unix.RTN_THROW},
			} {
				must(t, h.RouteAdd(&r))
			}
		}, func(*judge) (list []Query) {
			for _, dst := range []string{
				"192.0.2.1", "192.0.2.17", "192.0.2.33", "192.0.2.49",
				"2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1", "2001:db8:4::1",
			} {
				list = append(list, Query{Dst: addr(dst), DstPort: 9})
			}
			return list
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			j, h := twoWays(t)
			table := open(t, j.lab, Options{CacheTTL: time.Hour})
			for _, q := range test.ask(j) {
				_, _ = table.Resolve(t.Context(), q) // what was answered before must not stay
			}
			test.prepare(t, j, h)
			settle(t, j.lab, table)
			used := map[int]bool{}
			for _, q := range test.ask(j) {
				j.compare(table, q)
				if hop, err := table.Resolve(t.Context(), q); err == nil {
					used[hop.Interface] = true
				}
			}
			if len(used) < test.links {
				t.Errorf("the test does not test: %d links were used, want %d", len(used), test.links)
			}
		})
	}
}

// multipath replaces the default routes by such with both links as next hops.
func multipath(t *testing.T, j *judge, h *netlink.Handle) {
	t.Helper()
	for _, r := range []struct{ dst, one, two string }{{"0.0.0.0/0", "10.77.0.254", "10.78.0.254"}, {"::/0", "fd77::fe", "fd78::fe"}} {
		must(t, h.RouteReplace(&netlink.Route{Dst: ipNet(r.dst), MultiPath: []*netlink.NexthopInfo{
			{LinkIndex: j.links[0].Index(), Gw: net.IP(addr(r.one).AsSlice())}, {LinkIndex: j.links[1].Index(), Gw: net.IP(addr(r.two).AsSlice())},
		}}))
	}
}

// Among several next hops ours is the one that the kernel's socket takes, for every port and address.
func TestMultipath(t *testing.T) {
	for policy, name := range []string{"addresses", "ports"} {
		t.Run(name, func(t *testing.T) {
			j, h := twoWays(t)
			table := open(t, j.lab, Options{CacheTTL: time.Hour})
			multipath(t, j, h)
			for _, family := range []string{"ipv4", "ipv6"} {
				must(t, j.lab.A.NS.Sysctl(family+"/fib_multipath_hash_policy", string(rune('0'+policy))))
			}
			settle(t, j.lab, table)
			links := map[int]int{}
			for i := range 24 {
				port := uint16(1000)
				four, six := addr(far4).As4(), addr(far6).As16()
				if policy == hashL4 {
					port += uint16(i)
				} else {
					four[3], six[15] = byte(i), byte(i)
				}
				for _, dst := range []netip.Addr{netip.AddrFrom4(four), netip.AddrFrom16(six)} {
					for _, src := range []netip.Addr{{}, sourceFor(dst)} {
						q := Query{Dst: dst, Src: src, SrcPort: 4000, DstPort: port}
						j.compare(table, q)
						hop, err := table.Resolve(t.Context(), q)
						must(t, err)
						links[hop.Interface]++
					}
				}
			}
			if len(links) != 2 {
				t.Errorf("the test does not test: %v", links)
			}
		})
	}
}

func sourceFor(dst netip.Addr) netip.Addr {
	if dst.Is4() {
		return addr("10.77.0.1")
	}
	return addr("fd77::1")
}

// While no rule and no multipath policy looks at ports, one answer serves them all.
func TestPortsCostNothingUnlessLookedAt(t *testing.T) {
	j, h := twoWays(t)
	table := open(t, j.lab, Options{CacheTTL: time.Hour, keepAliveEvery: 5 * time.Millisecond})
	answers := func(want int, when string) {
		t.Helper()
		testenv.Eventually(t, patience, when, func() bool { // a change may come between the questions
			for port := range uint16(100) {
				if _, err := table.Resolve(t.Context(), Query{Dst: addr(far4), DstPort: port + 1}); err != nil {
					t.Fatal(err)
				}
			}
			list, _ := table.cache.given(table.Generation(), addr(far4))
			return len(list) == want
		})
	}
	answers(1, "one answer for one destination")
	r := netlink.NewRule()
	r.Priority, r.Dport, r.Table = 100, netlink.NewRulePortRange(53, 53), 53
	must(t, h.RuleAdd(r))
	answers(100, "answers for ports with a rule for one")
	must(t, h.RuleDel(r))
	answers(1, "one answer after the rule")
	must(t, j.lab.A.NS.Sysctl("ipv4/fib_multipath_hash_policy", "1"))
	answers(100, "answers for ports with a hash of them")
}
