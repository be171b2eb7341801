// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/doctor"
	borrow "github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/firewall"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// situation is a host in which something is as it is, and what doctor has to say of a destination.
type situation struct {
	name  string
	make  func(t *testing.T, l *testenv.Lab)
	dst   string // empty: the other end, port 9000
	iface string // named to both
	want  string // by, "+opens", and the status
	// unless is what it may depend on in words; empty: on nothing.
	unless string
	count  int // how many are sent; 0: three
}

// TestDoctorSaysWhatCarries: in each situation, what doctor says will carry a datagram carries it: AF_XDP, the kernel's stack, the kernel's
// stack the first one alone, or nobody, and then the status is the one that it has said.
func TestDoctorSaysWhatCarries(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	trial := doctor.RunTrial()
	for _, s := range situations() {
		t.Run(s.name, func(t *testing.T) {
			l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
			if s.make != nil {
				s.make(t, l)
			}
			if s.dst == "" {
				s.dst = netip.AddrPortFrom(l.B.IPv4(), testPort).String()
			}
			o, named := doctor.Options{NetNS: borrow.Borrow(l.A.NS.FD()), Trial: trial, UserNS: notTried}, []string{}
			if s.iface != "" {
				o.Interface, named = s.iface, []string{"-i", s.iface}
			}
			must(t, doctorArgs([]string{s.dst}, &o))
			facts, err := doctor.Gather(t.Context(), o)
			must(t, err)
			says := facts.Path.Carriage
			if got := carriage(says); got != s.want {
				t.Errorf("doctor says %q (%+v), want %q", got, says, s.want)
			}
			if unless := strings.Join(says.Unless, "; "); (unless == "") != (s.unless == "") || !strings.Contains(unless, s.unless) {
				t.Errorf("doctor says unless %q, want %q", unless, s.unless)
			}
			if s.count == 0 {
				s.count = 3
			}
			if is := carried(t, s.count, append([]string{"send", netns, s.dst, "-n", fmt.Sprint(s.count), "--json"}, named...)); is != carriage(says) {
				t.Errorf("doctor says %q, and what was sent was %q", carriage(says), is)
			}
		})
	}
}

// notTried leaves out what doctor finds out of ordinary users.
func notTried(context.Context, bool) (doctor.SelfTest, error) {
	return doctor.SelfTest{}, errors.New("not tried")
}

// carriage is what doctor says in one word, and the status.
func carriage(c doctor.Carriage) string {
	if c.Opens {
		return c.By + "+opens"
	}
	return strings.TrimSpace(c.By + " " + c.Status)
}

// carried is what a send has shown, in the same words.
func carried(t *testing.T, count int, args []string) string {
	t.Helper()
	r := cli(timeout(t), args...)
	if r.code == 2 || r.code == 3 {
		t.Fatal(r)
	}
	doc := decode[sendReport](t, r)
	switch n := uint64(doc.Totals.Completed); {
	case doc.Totals.Sent != count || n != 0 && n != uint64(count):
		t.Fatalf("%+v", doc.Totals)
	case n == 0:
		return "nobody " + doc.Results[0].Status
	case doc.Totals.SlowPath == 0:
		return "afxdp"
	case doc.Totals.SlowPath == 1:
		return "afxdp+opens"
	case doc.Totals.SlowPath == n:
		return "kernel"
	}
	t.Fatalf("%+v", doc.Totals)
	return ""
}

func situations() []situation {
	return append(append(ruleSituations(), waySituations()...), deviceSituations()...)
}

// rulesOf makes a firewall.
func rulesOf(family nftables.TableFamily, chains ...firewall.Chain) func(*testing.T, *testenv.Lab) {
	return func(t *testing.T, l *testenv.Lab) { must(t, firewall.Apply(l.A.NS, family, chains...)) }
}

func ruleSituations() []situation {
	const ip4, inet = nftables.TableFamilyIPv4, nftables.TableFamilyINet
	output := func(rules ...firewall.Rule) firewall.Chain {
		return firewall.Chain{Hook: nftables.ChainHookOutput, Rules: rules}
	}
	other := netip.MustParseAddr("10.77.0.77")
	nat := func(rule firewall.Rule) firewall.Chain {
		return firewall.Chain{Hook: nftables.ChainHookPostrouting, NAT: true, Rules: []firewall.Rule{rule}}
	}
	reject := append(firewall.DropPort(testPort)[:4:4], &expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 3})
	ipsec := func(dst string, block bool) func(*testing.T, *testenv.Lab) {
		return func(t *testing.T, l *testenv.Lab) {
			_, to, err := net.ParseCIDR(dst)
			must(t, err)
			p := &netlink.XfrmPolicy{Src: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Dst: to, Dir: netlink.XFRM_DIR_OUT}
			if block {
				p.Action = netlink.XFRM_POLICY_BLOCK
			} else { // a template that may stay unused
				p.Tmpls = []netlink.XfrmPolicyTmpl{{Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT, Optional: 1}}
			}
			must(t, l.A.NS.Do(func() error { return netlink.XfrmPolicyAdd(p) }))
		}
	}
	return []situation{
		{name: "nothing", want: "afxdp"},
		{name: "IPv6", dst: "[fd77::2]:9000", want: "afxdp"},
		{name: "stateful input", make: rulesOf(inet, firewall.Stateful()), want: "afxdp+opens"},
		{name: "stateful input, IPv6", make: rulesOf(inet, firewall.Stateful()), dst: "[fd77::2]:9000", want: "afxdp+opens"},
		{name: "output drops, untracked", make: rulesOf(inet, output(firewall.DropPort(testPort))), want: "afxdp"},
		{name: "output drops", make: rulesOf(inet, firewall.Stateful(), output(firewall.DropPort(testPort))), want: "nobody STATUS_ACCESS_DENIED"},
		{name: "output drops, IPv6", make: rulesOf(inet, firewall.Stateful(), output(firewall.DropPort(testPort))), dst: "[fd77::2]:9000",
			want: "nobody STATUS_ACCESS_DENIED"},
		{name: "output rejects", make: rulesOf(ip4, firewall.Stateful(), output(reject)), want: "nobody STATUS_ACCESS_DENIED"},
		{name: "output drops another port", make: rulesOf(inet, firewall.Stateful(), output(firewall.DropPort(7))), want: "afxdp+opens"},
		{name: "rules of the other family", make: rulesOf(nftables.TableFamilyIPv6, firewall.Stateful(), output(firewall.DropPort(testPort))), want: "afxdp"},
		{name: "output accepts by policy", make: rulesOf(inet, firewall.Stateful(), firewall.Chain{Hook: nftables.ChainHookOutput, Drop: true,
			Rules: []firewall.Rule{firewall.AcceptPort(testPort)}}), want: "afxdp+opens"},
		{name: "output drops by policy", make: rulesOf(inet, firewall.Stateful(), firewall.Chain{Hook: nftables.ChainHookOutput, Drop: true,
			Rules: []firewall.Rule{firewall.AcceptPort(7)}}), want: "nobody STATUS_ACCESS_DENIED"},
		{name: "output drops in a chain that is jumped to", make: rulesOf(inet, firewall.Stateful(), firewall.Chain{Hook: nftables.ChainHookOutput,
			Jump: []firewall.Rule{firewall.Established(), firewall.DropPort(testPort)}}), want: "nobody STATUS_ACCESS_DENIED"},
		{name: "postrouting drops", make: rulesOf(inet, firewall.Stateful(), firewall.Chain{Hook: nftables.ChainHookPostrouting,
			Rules: []firewall.Rule{firewall.DropPort(testPort)}}), want: "nobody STATUS_ACCESS_DENIED"},
		{name: "not tracked", make: rulesOf(inet, firewall.Stateful(), output(firewall.NoTrack())), want: "afxdp+opens"},
		{name: "source NAT", make: rulesOf(ip4, nat(firewall.SourceNAT(testPort, other))), want: "kernel"},
		{name: "source NAT of another port", make: rulesOf(ip4, nat(firewall.SourceNAT(7, other))), want: "afxdp+opens"},
		{name: "source NAT to the same", make: rulesOf(ip4, nat(firewall.SourceNAT(testPort, netip.MustParseAddr("10.77.0.1")))), want: "afxdp+opens"},
		{name: "destination NAT", make: rulesOf(ip4, firewall.Chain{Hook: nftables.ChainHookOutput, NAT: true,
			Rules: []firewall.Rule{firewall.DestinationNAT(testPort, other)}}), want: "kernel"},
		{name: "masquerading with the same address", make: rulesOf(ip4, nat(firewall.Rule{&expr.Masq{}})), want: "afxdp+opens"},
		{name: "masquerading with an address that is not known", make: func(t *testing.T, l *testenv.Lab) {
			must(t, l.A.If.AddAddr(netip.MustParsePrefix("10.77.0.9/24")))
			rulesOf(ip4, nat(firewall.Rule{&expr.Masq{}}))(t, l)
		}, want: "afxdp+opens", unless: "translate"},
		{name: "IPsec", make: ipsec("10.77.0.2/32", false), want: "kernel", unless: "blocks it"},
		{name: "IPsec elsewhere", make: ipsec("10.77.0.99/32", false), want: "afxdp"},
	}
}

func waySituations() []situation {
	route := func(r netlink.Route) func(*testing.T, *testenv.Lab) {
		return func(t *testing.T, l *testenv.Lab) {
			r.Dst = &net.IPNet{IP: net.IPv4(192, 0, 2, 0), Mask: net.CIDRMask(24, 32)}
			must(t, l.A.NS.Do(func() error { return netlink.RouteAdd(&r) }))
		}
	}
	rule := func(change func(*netlink.Rule)) func(*testing.T, *testenv.Lab) {
		return func(t *testing.T, l *testenv.Lab) {
			r := netlink.NewRule()
			r.Family, r.Priority = unix.AF_INET, 100
			change(r)
			must(t, l.A.NS.Do(func() error { return netlink.RuleAdd(r) }))
		}
	}
	const prohibit = 8 // FR_ACT_PROHIBIT
	gateway := net.IPv4(10, 77, 0, 2)
	return []situation{
		{name: "no route", dst: "192.0.2.7:9000", want: "nobody STATUS_NETWORK_UNREACHABLE"},
		{name: "a route", dst: "192.0.2.7:9000", make: route(netlink.Route{Gw: gateway}), want: "afxdp"},
		{name: "a route that prohibits", dst: "192.0.2.7:9000", make: route(netlink.Route{Type: unix.RTN_PROHIBIT}), want: "nobody STATUS_ACCESS_DENIED"},
		{name: "an unreachable route", dst: "192.0.2.7:9000", make: route(netlink.Route{Type: unix.RTN_UNREACHABLE}), want: "nobody STATUS_HOST_UNREACHABLE"},
		{name: "a blackhole", dst: "192.0.2.7:9000", make: route(netlink.Route{Type: unix.RTN_BLACKHOLE}), want: "nobody STATUS_INVALID_PARAMETER"},
		{name: "a route that throws", dst: "192.0.2.7:9000", make: route(netlink.Route{Type: unix.RTN_THROW}), want: "nobody STATUS_NETWORK_UNREACHABLE"},
		{name: "a route with a path MTU", dst: "192.0.2.7:9000", make: route(netlink.Route{Gw: gateway, MTU: 1300}), want: "afxdp"},
		{name: "two next hops", dst: "192.0.2.7:9000", make: func(t *testing.T, l *testenv.Lab) {
			must(t, l.A.If.SetNeighbour(netip.MustParseAddr("10.77.0.3"), l.B.If.MAC()))
			route(netlink.Route{MultiPath: []*netlink.NexthopInfo{{LinkIndex: l.A.If.Index(), Gw: gateway},
				{LinkIndex: l.A.If.Index(), Gw: net.IPv4(10, 77, 0, 3)}}})(t, l)
		}, want: "afxdp"},
		{name: "a rule for the port", make: rule(func(r *netlink.Rule) {
			r.Dport, r.IPProto, r.Type = netlink.NewRulePortRange(testPort, testPort), 17, prohibit
		}),
			want: "nobody STATUS_ACCESS_DENIED"},
		{name: "a rule for another port", make: rule(func(r *netlink.Rule) { r.Dport, r.IPProto, r.Type = netlink.NewRulePortRange(7, 7), 17, prohibit }), want: "afxdp"},
		{name: "a rule for the user", make: rule(func(r *netlink.Rule) {
			uid := uint32(unix.Geteuid())
			r.UIDRange, r.Type = netlink.NewRuleUIDRange(uid, uid), prohibit
		}), want: "nobody STATUS_ACCESS_DENIED"},
		{name: "a rule for a mark", make: rule(func(r *netlink.Rule) { r.Mark, r.Type = 7, prohibit }), want: "afxdp"},
		{name: "this host", dst: "10.77.0.1:9000", want: "kernel"},
		{name: "loopback", dst: "127.0.0.1:9000", want: "kernel"},
		{name: "broadcast", dst: "10.77.0.255:9000", want: "kernel"},
		{name: "a group", dst: "239.7.7.7:9000", iface: "wsk0", want: "afxdp"},
		{name: "a group, IPv6", dst: "[ff15::77]:9000", iface: "wsk0", want: "afxdp"},
		{name: "a group with a member here", dst: "239.7.7.7:9000", iface: "wsk0", make: func(t *testing.T, l *testenv.Lab) {
			fd, err := l.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			must(t, err)
			t.Cleanup(func() { unix.Close(fd) })
			must(t, unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: [4]byte{239, 7, 7, 7}, Ifindex: int32(l.A.If.Index())}))
		}, want: "kernel"},
		{name: "a group with a member here, IPv6", dst: "[ff15::77]:9000", iface: "wsk0", make: func(t *testing.T, l *testenv.Lab) {
			fd, err := l.A.NS.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
			must(t, err)
			t.Cleanup(func() { unix.Close(fd) })
			must(t, unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{
				Multiaddr: netip.MustParseAddr("ff15::77").As16(), Interface: uint32(l.A.If.Index())}))
		}, want: "kernel"},
		{name: "a silent neighbour", count: 1, dst: "10.77.0.66:9000", want: "nobody STATUS_HOST_UNREACHABLE", make: func(t *testing.T, l *testenv.Lab) {
			silent := netip.MustParseAddr("10.77.0.66")
			must(t, l.A.NS.Do(func() error {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				return unix.Sendto(fd, nil, 0, &unix.SockaddrInet4{Port: testPort, Addr: silent.As4()})
			}))
			testenv.Eventually(t, setupTime, "the neighbour to have failed", func() bool {
				n, ok, err := l.A.If.Neighbour(silent)
				must(t, err)
				return ok && n.State == netlink.NUD_FAILED
			})
		}, unless: "it answers by now"},
		{name: "a neighbour that nobody has asked", dst: "10.77.0.2:9000", want: "afxdp", make: func(t *testing.T, l *testenv.Lab) {
			must(t, l.A.If.DeleteNeighbour(l.B.IPv4()))
		}, unless: "does not answer"},
		{name: "the link is down", make: func(t *testing.T, l *testenv.Lab) { must(t, l.A.If.SetDown()) }, want: "nobody STATUS_NETWORK_UNREACHABLE"},
		{name: "no carrier", make: func(t *testing.T, l *testenv.Lab) { must(t, l.B.If.SetDown()) }, want: "nobody STATUS_NETWORK_UNREACHABLE"},
		{name: "all queues are held", make: func(t *testing.T, l *testenv.Lab) {
			must(t, l.A.NS.Do(func() error {
				s, err := xdp.Open(xdp.Options{Ifname: "wsk0", Mode: xdp.ModeCopy})
				if err == nil {
					t.Cleanup(func() { must(t, s.Close()) })
				}
				return err
			}))
		}, want: "kernel"},
		{name: "a large MTU", make: func(t *testing.T, l *testenv.Lab) { must(t, setMTU(l.A.If, 9000)) }, want: "afxdp"},
	}
}

// device makes a device on top of, or beside, the interface, with a network of its own behind it.
func device(make func(l *testenv.Lab, a netlink.LinkAttrs) netlink.Link) func(*testing.T, *testenv.Lab) {
	return func(t *testing.T, l *testenv.Lab) {
		x := make(l, netlink.LinkAttrs{Name: "x", ParentIndex: l.A.If.Index()})
		var err error
		must(t, l.A.NS.Do(func() error {
			err = netlink.LinkAdd(x)
			return nil
		}))
		if err != nil && os.Getenv("WSKXDP_ALL_KINDS") == "" {
			t.Skipf("%s: %v: make test-vm runs this in guests", x.Type(), err)
		}
		must(t, err)
		must(t, l.A.NS.Do(func() error {
			addr := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 78, 0, 1), Mask: net.CIDRMask(24, 32)}}
			if err := netlink.AddrAdd(x, addr); err != nil {
				return err
			}
			if x.Type() == "bond" || x.Type() == "bridge" {
				if err := enslave(l.A.If, x); err != nil {
					return err
				}
			}
			if err := netlink.LinkSetUp(x); err != nil {
				return err
			}
			if u, ok := x.(*netlink.Tuntap); x.Type() == "ipvlan" || ok && u.Mode == netlink.TUNTAP_MODE_TUN {
				return nil // has no neighbours
			}
			return netlink.NeighSet(&netlink.Neigh{LinkIndex: x.Attrs().Index, IP: net.IPv4(10, 78, 0, 2), HardwareAddr: l.B.If.MAC(), State: netlink.NUD_PERMANENT})
		}))
	}
}

// enslave makes an interface a port, down while it becomes one as bonds want it.
func enslave(i *testenv.Iface, master netlink.Link) error {
	if err := i.SetDown(); err != nil {
		return err
	}
	p, err := netlink.LinkByName(i.Name())
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMaster(p, master); err != nil {
		return err
	}
	return i.SetUp()
}

func deviceSituations() []situation {
	const dst = "10.78.0.2:9000"
	bond := func(mode netlink.BondMode, hash netlink.BondXmitHashPolicy) func(*testenv.Lab, netlink.LinkAttrs) netlink.Link {
		return func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			b := netlink.NewLinkBond(netlink.LinkAttrs{Name: a.Name})
			b.Mode, b.XmitHashPolicy, b.Miimon = mode, hash, 1
			return b
		}
	}
	remote := net.IPv4(10, 77, 0, 2)
	return []situation{
		{name: "dummy", dst: dst, want: "afxdp", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			a.ParentIndex = 0
			return &netlink.Dummy{LinkAttrs: a}
		})},
		{name: "VLAN", dst: dst, want: "afxdp", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link { return &netlink.Vlan{LinkAttrs: a, VlanId: 5} })},
		{name: "macvlan", dst: dst, want: "afxdp", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			return &netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}
		})},
		{name: "bridge", dst: dst, want: "afxdp", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			a.ParentIndex = 0
			return &netlink.Bridge{LinkAttrs: a}
		})},
		{name: "bridge, a group", dst: "239.7.7.7:9000", iface: "x", want: "kernel", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			a.ParentIndex = 0
			return &netlink.Bridge{LinkAttrs: a}
		})},
		{name: "bond, active-backup", dst: dst, want: "afxdp", make: device(bond(netlink.BOND_MODE_ACTIVE_BACKUP, netlink.BOND_XMIT_HASH_POLICY_LAYER2))},
		{name: "bond by ports", dst: dst, want: "kernel", make: device(bond(netlink.BOND_MODE_BALANCE_XOR, netlink.BOND_XMIT_HASH_POLICY_LAYER3_4))},
		{name: "VXLAN", dst: dst, want: "kernel", make: device(func(l *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			return &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: a.Name}, VxlanId: 5, Group: remote, Port: 4789, VtepDevIndex: l.A.If.Index()}
		})},
		{name: "Geneve", dst: dst, want: "kernel", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			return &netlink.Geneve{LinkAttrs: netlink.LinkAttrs{Name: a.Name}, ID: 5, Remote: remote}
		})},
		{name: "ipvlan", dst: dst, want: "kernel", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			return &netlink.IPVlan{LinkAttrs: a, Mode: netlink.IPVLAN_MODE_L3}
		})},
		{name: "WireGuard", dst: dst, want: "kernel", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			a.ParentIndex = 0
			return &netlink.Wireguard{LinkAttrs: a}
		})},
		{name: "tap without a reader", dst: dst, want: "nobody STATUS_NETWORK_UNREACHABLE", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			return &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: a.Name}, Mode: netlink.TUNTAP_MODE_TAP, Flags: unix.IFF_NO_PI}
		})},
		{name: "tun", dst: dst, want: "kernel", make: device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
			return &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: a.Name}, Mode: netlink.TUNTAP_MODE_TUN, Flags: unix.IFF_NO_PI}
		})},
	}
}
