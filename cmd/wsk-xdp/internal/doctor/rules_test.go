// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/firewall"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// examine runs doctor at the end A of a laboratory.
func examine(t *testing.T, ns *testenv.Namespace, name string, dst netip.Addr) []Finding {
	t.Helper()
	f, err := Gather(t.Context(), Options{
		NetNS: netns.Borrow(ns.FD()), Interface: name, Destination: dst,
		UserNS: func(context.Context, bool) (SelfTest, error) { return SelfTest{}, errors.New("not tried") },
	})
	must(t, err)
	return Check(&f)
}

// found is a finding that is wanted: its level, and words in it.
type found struct {
	id    string
	level Level
	text  string
}

func (w found) in(t *testing.T, findings []Finding) {
	t.Helper()
	x := find(t, findings, w.id)
	if all := x.Title + "\n" + x.Detail + "\n" + x.Remedy; x.Level != w.level || !strings.Contains(all, w.text) {
		t.Errorf("%+v, want level %s and %q", x, w.level, w.text)
	}
}

// TestTellsTheHostsRules: each rule of a host is told as it is, and no other with it; and a user without privilege is not told that
// there is none.
func TestTellsTheHostsRules(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	plain := []found{
		{"WX-CT-01", OK, "tracks no"}, {"WX-NFT-IN-01", OK, ""}, {"WX-NFT-OUT-01", OK, ""}, {"WX-IPT-01", OK, ""}, {"WX-IPSEC-01", OK, "no IPsec policy"},
		{"WX-RPF-01", OK, "off"}, {"WX-VRF-01", OK, "no VRF"}, {"WX-TC-01", OK, ""},
	}
	if !mayAsk() { // root of a user namespace is not told of programs
		plain[len(plain)-1] = found{"WX-TC-01", Note, "not known"}
	}
	rules := func(family nftables.TableFamily, chains ...firewall.Chain) func(*testing.T, *testenv.Lab) {
		return func(t *testing.T, lab *testenv.Lab) { must(t, firewall.Apply(lab.A.NS, family, chains...)) }
	}
	for _, tc := range []struct {
		name  string
		apply func(*testing.T, *testenv.Lab)
		want  []found
	}{
		{"none", func(*testing.T, *testenv.Lab) {}, nil},
		{"stateful", rules(nftables.TableFamilyINet, firewall.Stateful()), []found{
			{"WX-CT-01", OK, "the first datagram"}, {"WX-NFT-IN-01", Note, "inet host chain0"},
		}},
		{"input by port", rules(nftables.TableFamilyIPv4, firewall.Chain{Hook: nftables.ChainHookInput, Rules: []firewall.Rule{firewall.DropPort(9)}}),
			[]found{{"WX-NFT-IN-01", Warn, "ip host chain0"}}},
		{"output", rules(nftables.TableFamilyINet, firewall.Chain{Hook: nftables.ChainHookOutput, Drop: true, Rules: []firewall.Rule{firewall.AcceptPort(9)}}),
			[]found{{"WX-CT-01", OK, "the first datagram"}, {"WX-NFT-OUT-01", Warn, "inet host chain0"}}},
		{"ingress", rules(nftables.TableFamilyNetdev, firewall.Chain{Hook: nftables.ChainHookIngress, Device: "wsk0", Rules: []firewall.Rule{firewall.DropPort(9)}}),
			[]found{{"WX-NFT-IN-01", Warn, "netdev host chain0"}}},
		{"NAT", rules(nftables.TableFamilyIPv4, firewall.Chain{Hook: nftables.ChainHookPostrouting, NAT: true,
			Rules: []firewall.Rule{firewall.SourceNAT(9, netip.MustParseAddr("10.77.0.9"))}}),
			[]found{{"WX-CT-01", OK, "the first datagram"}, {"WX-NFT-NAT-01", Note, "ip host chain0"}}},
		{"rp_filter", func(t *testing.T, lab *testenv.Lab) { must(t, lab.A.NS.Sysctl("ipv4/conf/all/rp_filter", "2")) },
			[]found{{"WX-RPF-01", OK, "loose"}}},
		{"IPsec", policy("10.77.0.2/32"), []found{{"WX-IPSEC-01", Warn, "10.77.0.2"}, {"WX-ROUTE-01", Warn, "IPsec"}}},
		{"IPsec elsewhere", policy("10.77.0.99/32"), []found{{"WX-IPSEC-01", OK, "10.77.0.2"}, {"WX-ROUTE-01", OK, ""}}},
		{"tc", func(t *testing.T, lab *testenv.Lab) {
			must(t, lab.A.NS.Do(func() error {
				return netlink.QdiscAdd(&netlink.Tbf{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: lab.A.If.Index(), Parent: netlink.HANDLE_ROOT,
					Handle: netlink.MakeHandle(1, 0)}, Rate: 1 << 20, Limit: 1 << 16, Buffer: 1 << 16})
			}))
		}, []found{{"WX-TC-01", Warn, "tbf"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
			tc.apply(t, lab)
			findings := examine(t, lab.A.NS, "wsk0", lab.B.IPv4())
			noFalseComfort(t, findings, examineAsUser(t, lab.A.NS, "wsk0", lab.B.IPv4()))
			told := map[string]bool{}
			for _, w := range tc.want {
				w.in(t, findings)
				told[w.id] = true
			}
			for _, w := range plain {
				if !told[w.id] {
					w.in(t, findings)
				}
			}
		})
	}
}

// TestTellsBridgeAndARP: rules of a bridge that it leaves by, and of ARP where a neighbour has to be asked for, are told with what they
// may do.
func TestTellsBridgeAndARP(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	far := netip.MustParseAddr("10.78.0.2")
	add(t, lab.A.NS, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
	must(t, lab.A.NS.Do(func() error {
		l, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 78, 0, 1), Mask: net.CIDRMask(24, 32)}})
	}))
	hook := func(n uint32) firewall.Chain {
		return firewall.Chain{Hook: nftables.ChainHookRef(nftables.ChainHook(n)), Drop: true}
	}
	const arpOutput = 1
	for _, c := range []struct {
		family nftables.TableFamily
		hook   uint32
		dst    netip.Addr
		want   found
	}{
		{nftables.TableFamilyBridge, unix.NF_INET_LOCAL_OUT, far, found{"WX-CARRY-02", Note, "rules of the bridge (bridge host chain0), which are not followed"}},
		{nftables.TableFamilyBridge, unix.NF_INET_LOCAL_IN, far, found{"WX-ANSWER-01", Note, "rules of the bridge (bridge host chain0), which are not followed"}},
		{nftables.TableFamilyARP, arpOutput, netip.MustParseAddr("10.77.0.77"), found{"WX-NEIGH-01", Note, "rules of arp host chain0, which are not followed"}},
	} {
		if err := firewall.Apply(lab.A.NS, c.family, hook(c.hook)); errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
			t.Logf("this kernel has no rules of family %d: %v", c.family, err)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		findings := examine(t, lab.A.NS, "", c.dst)
		if x := find(t, findings, c.want.id); !strings.Contains(x.Title+x.Detail, c.want.text) {
			t.Errorf("%+v, want %q", x, c.want.text)
		}
	}
}

// TestTellsAnswersToTheUntracked: where rules keep what goes out from being tracked, answers to it are those of nobody's connection; a
// notrack that comes too late changes nothing.
func TestTellsAnswersToTheUntracked(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	for priority, want := range map[nftables.ChainPriority]found{
		-300: {"WX-ANSWER-01", Warn, "dropped by the rules of inet host chain0"},
		0:    {"WX-ANSWER-01", OK, "get in"},
	} {
		lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
		must(t, firewall.Apply(lab.A.NS, nftables.TableFamilyINet, firewall.Stateful()))
		c, err := nftables.New(nftables.WithNetNSFd(lab.A.NS.FD()))
		must(t, err)
		table := &nftables.Table{Family: nftables.TableFamilyINet, Name: "host"}
		chain := c.AddChain(&nftables.Chain{Name: "raw", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: &priority})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append([]expr.Any{ // to there alone: what the host sends itself shows that it tracks
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: lab.B.IPv4().AsSlice()}}, firewall.NoTrack()...)})
		must(t, c.Flush())
		want.in(t, examine(t, lab.A.NS, "wsk0", lab.B.IPv4()))
	}
}

// TestOnlyAddress: what an interface masquerades with is said where it has one address, or one that is not link-local in IPv6, and for
// nothing that is link-local itself.
func TestOnlyAddress(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	only := func(to string) (a netip.Addr) {
		must(t, lab.A.NS.Do(func() error {
			l, err := netlink.LinkByName("wsk0")
			if err == nil {
				a = onlyAddress(l, netip.MustParseAddr(to))
			}
			return err
		}))
		return a
	}
	if a := only("10.77.0.2"); a != lab.A.IPv4() {
		t.Errorf("IPv4: %v", a)
	}
	if a := only("2001:db8::1"); a != lab.A.IPv6() {
		t.Errorf("IPv6: %v", a)
	}
	if a := only("fe80::2"); a.IsValid() {
		t.Errorf("link-local: %v", a)
	}
	must(t, lab.A.If.AddAddr(netip.MustParsePrefix("169.254.7.7/16")))
	if a := only("10.77.0.2"); a.IsValid() {
		t.Errorf("with one of 169.254/16: %v", a)
	}
}

// TestStandsOn: a bridge is found below what stands on it, and the other end of a veth is not below it.
func TestStandsOn(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	add(t, lab.A.NS, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
	for name, below := range map[string]string{"over-bridge": "br0", "over-veth": "wsk0"} {
		parent := 0
		must(t, lab.A.NS.Do(func() error {
			l, err := netlink.LinkByName(below)
			if err == nil {
				parent = l.Attrs().Index
			}
			return err
		}))
		add(t, lab.A.NS, &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: name, ParentIndex: parent}, VlanId: 5})
	}
	must(t, lab.A.NS.Do(func() error {
		for name, want := range map[string][2]bool{"br0": {true, true}, "over-bridge": {true, true}, "over-veth": {false, true}, "wsk0": {false, false}} {
			if bridge, others := standsOn(name); bridge != want[0] || others != want[1] {
				t.Errorf("%s: %v, %v", name, bridge, others)
			}
		}
		return nil
	}))
}

// TestTellsRulesBelow: rules at the ingress of what is below an interface are told of answers to it.
func TestTellsRulesBelow(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	add(t, lab.A.NS, &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "x", ParentIndex: lab.A.If.Index()}, VlanId: 5})
	must(t, lab.A.NS.Do(func() error {
		l, err := netlink.LinkByName("x")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 78, 0, 1), Mask: net.CIDRMask(24, 32)}})
	}))
	must(t, firewall.Apply(lab.A.NS, nftables.TableFamilyNetdev, firewall.Chain{Hook: nftables.ChainHookIngress, Device: "wsk0", Rules: []firewall.Rule{firewall.DropPort(9)}}))
	found{"WX-ANSWER-01", Note, "devices below (netdev host chain0)"}.in(t, examine(t, lab.A.NS, "", netip.MustParseAddr("10.78.0.2")))
	found{"WX-ANSWER-01", Note, "may be dropped by the rules of netdev host chain0"}.in(t, examine(t, lab.A.NS, "", lab.B.IPv4()))
}

// policy has what goes to a prefix encrypted.
func policy(dst string) func(*testing.T, *testenv.Lab) {
	return func(t *testing.T, lab *testenv.Lab) {
		_, to, err := net.ParseCIDR(dst)
		must(t, err)
		must(t, lab.A.NS.Do(func() error {
			return netlink.XfrmPolicyAdd(&netlink.XfrmPolicy{
				Src: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Dst: to, Dir: netlink.XFRM_DIR_OUT,
				Tmpls: []netlink.XfrmPolicyTmpl{{Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT}},
			})
		}))
	}
}

// TestTellsEveryKind: what goes the kernel's way is told for every kind of device, and nothing of what AF_XDP carries. The kinds
// that this kernel lacks are tested in guests.
func TestTellsEveryKind(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	on := func(lab *testenv.Lab, name string) netlink.LinkAttrs {
		return netlink.LinkAttrs{Name: name, ParentIndex: lab.A.If.Index()}
	}
	generic := func(kind string) func(*testenv.Lab) netlink.Link {
		return func(lab *testenv.Lab) netlink.Link {
			return &netlink.GenericLink{LinkAttrs: on(lab, "x"), LinkType: kind}
		}
	}
	bond := func(mode netlink.BondMode, hash netlink.BondXmitHashPolicy) func(*testenv.Lab) netlink.Link {
		return func(*testenv.Lab) netlink.Link {
			b := netlink.NewLinkBond(netlink.LinkAttrs{Name: "x"})
			b.Mode, b.XmitHashPolicy = mode, hash
			return b
		}
	}
	remote := net.IPv4(10, 77, 0, 2)
	for name, tc := range map[string]struct {
		device   func(*testenv.Lab) netlink.Link
		obstacle string // empty: AF_XDP carries
	}{
		"dummy":  {func(*testenv.Lab) netlink.Link { return &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "x"}} }, ""},
		"bridge": {func(*testenv.Lab) netlink.Link { return &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "x"}} }, ""},
		"macvlan": {func(l *testenv.Lab) netlink.Link {
			return &netlink.Macvlan{LinkAttrs: on(l, "x"), Mode: netlink.MACVLAN_MODE_BRIDGE}
		}, ""},
		"macvtap": {func(l *testenv.Lab) netlink.Link {
			return &netlink.Macvtap{Macvlan: netlink.Macvlan{LinkAttrs: on(l, "x"), Mode: netlink.MACVLAN_MODE_BRIDGE}}
		}, "macvtap"},
		"VLAN": {func(l *testenv.Lab) netlink.Link { return &netlink.Vlan{LinkAttrs: on(l, "x"), VlanId: 5} }, ""},
		"VXLAN": {func(l *testenv.Lab) netlink.Link {
			return &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "x"}, VxlanId: 5, Group: remote, Port: 4789, VtepDevIndex: l.A.If.Index()}
		}, "vxlan"},
		"Geneve": {func(*testenv.Lab) netlink.Link {
			return &netlink.Geneve{LinkAttrs: netlink.LinkAttrs{Name: "x"}, ID: 5, Remote: remote}
		}, "geneve"},
		"gretap": {func(*testenv.Lab) netlink.Link {
			return &netlink.Gretap{LinkAttrs: netlink.LinkAttrs{Name: "x"}, Local: net.IPv4(10, 77, 0, 1), Remote: remote}
		}, "gretap"},
		"ipvlan": {func(l *testenv.Lab) netlink.Link {
			return &netlink.IPVlan{LinkAttrs: on(l, "x"), Mode: netlink.IPVLAN_MODE_L3}
		}, "ipvlan"},
		"team":   {generic("team"), "team"},
		"macsec": {generic("macsec"), "macsec"},
		"ifb":    {func(*testenv.Lab) netlink.Link { return &netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: "x"}} }, "ifb"},
		"VRF": {func(*testenv.Lab) netlink.Link {
			return &netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "x"}, Table: 77}
		}, "vrf"},
		"bond by turns":       {bond(netlink.BOND_MODE_BALANCE_RR, netlink.BOND_XMIT_HASH_POLICY_LAYER2), ""},
		"bond by ports":       {bond(netlink.BOND_MODE_BALANCE_XOR, netlink.BOND_XMIT_HASH_POLICY_LAYER3_4), "xmit_hash_policy"},
		"bond without a port": {bond(netlink.BOND_MODE_ACTIVE_BACKUP, netlink.BOND_XMIT_HASH_POLICY_LAYER2), "no active port"},
		"tap":                 {func(*testenv.Lab) netlink.Link { return tap(netlink.TUNTAP_MODE_TAP, unix.IFF_NO_PI) }, ""},
		"tap with protocol":   {func(*testenv.Lab) netlink.Link { return tap(netlink.TUNTAP_MODE_TAP, 0) }, "IFF_NO_PI"},
		"tun":                 {func(*testenv.Lab) netlink.Link { return tap(netlink.TUNTAP_MODE_TUN, unix.IFF_NO_PI) }, "no Ethernet frames"},
	} {
		t.Run(name, func(t *testing.T) {
			lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
			l := tc.device(lab)
			add(t, lab.A.NS, l)
			findings := examine(t, lab.A.NS, "x", netip.Addr{})
			noFalseComfort(t, findings, examineAsUser(t, lab.A.NS, "x", netip.Addr{}))
			var told string
			for _, f := range findings {
				if f.ID == "WX-CARRY-01" || f.ID == "WX-DRIVER-01" && f.Level == Fail {
					told += f.Title + ": " + f.Detail
				}
			}
			if (told == "") != (tc.obstacle == "") || !strings.Contains(told, tc.obstacle) {
				t.Errorf("told %q, want %q", told, tc.obstacle)
			}
		})
	}
}

func tap(mode netlink.TuntapMode, flags netlink.TuntapFlag) netlink.Link {
	return &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "x"}, Mode: mode, Flags: flags}
}

// add makes a device and sets it up, or skips the test where the kernel has no such kind: the guests of make test-vm do, and say so.
func add(t *testing.T, ns *testenv.Namespace, l netlink.Link) {
	t.Helper()
	var err error
	must(t, ns.Do(func() error {
		if err = netlink.LinkAdd(l); err != nil {
			return nil
		}
		return netlink.LinkSetUp(l)
	}))
	if err == nil {
		return
	}
	if strings.Contains(err.Error(), "Unknown device type") || errors.Is(err, unix.EOPNOTSUPP) {
		if os.Getenv("WSKXDP_ALL_KINDS") != "" {
			t.Fatalf("%s: %v (this kernel is one that is to have every kind)", l.Type(), err)
		}
		t.Skipf("%s: %v: make test-vm runs this in guests", l.Type(), err)
	}
	t.Fatalf("%s: %v", l.Type(), err)
}

// TestTellsVRF: that an interface belongs to a VRF, and what that means.
func TestTellsVRF(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	red := &netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "red"}, Table: 77}
	add(t, lab.A.NS, red)
	must(t, lab.A.NS.Do(func() error {
		l, err := netlink.LinkByName("wsk0")
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(l, red)
	}))
	found{"WX-VRF-01", Note, "ip vrf exec red"}.in(t, examine(t, lab.A.NS, "wsk0", netip.Addr{}))
	must(t, lab.A.NS.Sysctl("ipv4/udp_l3mdev_accept", "1"))
	findings := examine(t, lab.A.NS, "wsk0", netip.Addr{})
	found{"WX-VRF-01", Note, "sockets outside get"}.in(t, findings)
	noFalseComfort(t, findings, examineAsUser(t, lab.A.NS, "wsk0", netip.Addr{}))
}
