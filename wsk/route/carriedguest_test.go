// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"bytes"
	"os"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Rows for kinds that distributions build as modules.
func TestCarriedByVLANs(t *testing.T) {
	ten, ad := netlink.VLAN_PROTOCOL_8021Q, netlink.VLAN_PROTOCOL_8021AD
	runKinds(t, map[string]kindTest{
		"VLAN":    {func(s *stage) netlink.Link { return s.vlan("vl", s.link("v"), 5, ten, nil) }, "v", 0, 0},
		"802.1ad": {func(s *stage) netlink.Link { return s.vlan("vl", s.link("v"), 5, ad, nil) }, "v", 0, 0},
		"QinQ": {func(s *stage) netlink.Link {
			return s.vlan("vl", s.vlan("outer", s.link("v"), 5, ad, nil), 6, ten, nil)
		}, "v", 0, 0},
		"three tags": {func(s *stage) netlink.Link {
			return s.vlan("vl", s.vlan("mid", s.vlan("outer", s.link("v"), 5, ad, nil), 6, ten, nil), 7, ten, nil)
		}, "vl", 0, 0},
		"priorities": {func(s *stage) netlink.Link {
			return s.vlan("vl", s.link("v"), 5, ten, map[uint32]uint32{0: 1, 2: 2, 4: 3, 6: 7})
		}, "v", 0, 0},
		"on macvlan": {func(s *stage) netlink.Link {
			mv := macvlan(netlink.MACVLAN_MODE_BRIDGE)(s)
			must(s.t, s.h.LinkSetUp(mv))
			return s.vlan("vl", mv, 5, ten, nil)
		}, "mv", 0, 0},
		"macvlan on VLAN": {func(s *stage) netlink.Link {
			vl := s.vlan("vl", s.link("v"), 5, ten, nil)
			return s.add(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mv", ParentIndex: vl.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE})
		}, "mv", 0, 0},
		"on bridge": {func(s *stage) netlink.Link {
			br := s.bridge("br", false, false, s.link("p0"), s.link("p1"))
			must(s.t, s.h.LinkSetUp(br))
			return s.vlan("vl", br, 5, ten, nil)
		}, "vl", 0, 0},
		"on bridge with VLANs": {func(s *stage) netlink.Link { return s.vlan("vl", s.vlanBridge(false), 5, ten, nil) }, "vl", 0, 0},
		"on bridge with VLANs and snooping": {func(s *stage) netlink.Link {
			return s.vlan("vl", s.vlanBridge(true), 5, ten, nil)
		}, "vl", 0, ObstacleSnooping},
		"below a bridge": {func(s *stage) netlink.Link {
			return s.bridge("br", false, false, s.link("p0"), s.vlan("vl", s.link("p1"), 5, ten, nil))
		}, "br", 0, 0},
	})
}

// vlan makes a VLAN device, which is up when it stands below another one.
func (s *stage) vlan(name string, on netlink.Link, id int, proto netlink.VlanProtocol, priorities map[uint32]uint32) netlink.Link {
	s.t.Helper()
	l := s.add(&netlink.Vlan{
		LinkAttrs: netlink.LinkAttrs{Name: name, ParentIndex: on.Attrs().Index}, VlanId: id, VlanProtocol: proto, EgressQosMap: priorities,
	})
	must(s.t, s.h.LinkSetUp(l))
	return l
}

// vlanBridge is a VLAN-aware bridge: p0 is in VLAN 5, p1 is not, as is what leaves the bridge untagged.
func (s *stage) vlanBridge(snooping bool) netlink.Link {
	s.t.Helper()
	p0, p1 := s.link("p0"), s.link("p1")
	br := s.bridge("br", true, snooping, p0, p1)
	must(s.t, s.h.BridgeVlanAdd(br, 5, false, false, true, false))
	must(s.t, s.h.BridgeVlanAdd(p0, 5, false, false, false, true))
	must(s.t, s.h.LinkSetUp(br))
	return br
}

func TestCarriedByBonds(t *testing.T) {
	layer2, layer34 := netlink.BOND_XMIT_HASH_POLICY_LAYER2, netlink.BOND_XMIT_HASH_POLICY_LAYER3_4
	runKinds(t, map[string]kindTest{
		"active backup": {func(s *stage) netlink.Link {
			return s.bond(netlink.BOND_MODE_ACTIVE_BACKUP, layer2, "p0", "p1")
		}, "p0", 0, 0},
		"by turns": {func(s *stage) netlink.Link {
			s.takesTurns = true
			return s.bond(netlink.BOND_MODE_BALANCE_RR, layer2, "p0", "p1")
		}, "bond", 0, 0},
		"to all":           {func(s *stage) netlink.Link { return s.bond(netlink.BOND_MODE_BROADCAST, layer2, "p0", "p1") }, "bond", 0, 0},
		"by MAC addresses": {func(s *stage) netlink.Link { return s.bond(netlink.BOND_MODE_BALANCE_XOR, layer2, "p0", "p1") }, "bond", 0, 0},
		"LACP":             {lacp, "bond", 0, 0},
		"by ports":         {func(s *stage) netlink.Link { return s.bond(netlink.BOND_MODE_BALANCE_XOR, layer34, "p0", "p1") }, "", ObstacleBondMode, ObstacleBondMode},
		"by load":          {func(s *stage) netlink.Link { return s.bond(netlink.BOND_MODE_BALANCE_TLB, layer2, "p0", "p1") }, "", ObstacleBondMode, ObstacleBondMode},
		"VLAN on active backup": {func(s *stage) netlink.Link {
			return s.vlan("vl", s.up(s.bond(netlink.BOND_MODE_ACTIVE_BACKUP, layer2, "p0", "p1")), 5, netlink.VLAN_PROTOCOL_8021Q, nil)
		}, "p0", 0, 0},
		"VLAN on MAC addresses": {func(s *stage) netlink.Link {
			return s.vlan("vl", s.up(s.bond(netlink.BOND_MODE_BALANCE_XOR, layer2, "p0", "p1")), 5, netlink.VLAN_PROTOCOL_8021Q, nil)
		}, "vl", 0, 0},
		"bridge on bond": {func(s *stage) netlink.Link {
			bond := s.up(s.bond(netlink.BOND_MODE_ACTIVE_BACKUP, layer2, "p0", "p1"))
			return s.bridge("br", false, false, bond, s.link("p2"))
		}, "br", 0, 0},
	})
}

func (s *stage) up(l netlink.Link) netlink.Link {
	s.t.Helper()
	must(s.t, s.h.LinkSetUp(l))
	return l
}

// bond makes a bond of two links; the first is the active port, where there is one.
func (s *stage) bond(mode netlink.BondMode, policy netlink.BondXmitHashPolicy, ports ...string) netlink.Link {
	s.t.Helper()
	b := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond"})
	b.Mode, b.XmitHashPolicy, b.Miimon = mode, policy, 10
	if mode == netlink.BOND_MODE_802_3AD {
		b.LacpRate = netlink.BOND_LACP_RATE_FAST
	}
	l := s.add(b)
	must(s.t, s.h.LinkSetUp(l))
	for i, name := range ports {
		p := s.link(name)
		must(s.t, s.h.LinkSetDown(p))
		must(s.t, s.h.LinkSetMaster(p, l))
		must(s.t, s.h.LinkSetUp(p))
		if mode != netlink.BOND_MODE_ACTIVE_BACKUP || i > 0 {
			continue
		}
		testenv.Eventually(s.t, patience, "the active port", func() bool {
			l, err := s.h.LinkByName("bond")
			b, ok := l.(*netlink.Bond)
			return err == nil && ok && b.ActiveSlave == p.Attrs().Index
		})
	}
	return l
}

// lacp is a bond that has agreed with one in the other namespace.
func lacp(s *stage) netlink.Link {
	bond := s.bond(netlink.BOND_MODE_802_3AD, netlink.BOND_XMIT_HASH_POLICY_LAYER2, "p0", "p1")
	h := handle(s.t, s.out)
	partner := netlink.NewLinkBond(netlink.LinkAttrs{Name: "partner"})
	partner.Mode, partner.Miimon, partner.LacpRate = netlink.BOND_MODE_802_3AD, 10, netlink.BOND_LACP_RATE_FAST
	must(s.t, h.LinkAdd(partner))
	made, err := h.LinkByName("partner")
	must(s.t, err)
	for _, name := range []string{"p0-far", "p1-far"} {
		p, err := h.LinkByName(name)
		must(s.t, err)
		must(s.t, h.LinkSetDown(p))
		must(s.t, h.LinkSetMaster(p, made))
		must(s.t, h.LinkSetUp(p))
	}
	must(s.t, h.LinkSetUp(made))
	testenv.Eventually(s.t, 6*patience, "both ports in one aggregate", func() bool {
		var text []byte
		must(s.t, s.ns.Do(func() (err error) { text, err = os.ReadFile("/proc/thread-self/net/bonding/bond"); return err }))
		return bytes.Contains(text, []byte("Number of ports: 2"))
	})
	return bond
}

// team is a team of one port. It has no mode, which teamd would give it, and so sends nothing; the port gives it a carrier.
func team(s *stage) netlink.Link {
	port := s.link("v")
	l := s.add(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: "x"}, LinkType: "team"})
	must(s.t, s.h.LinkSetDown(port))
	must(s.t, s.h.LinkSetMaster(port, l))
	must(s.t, s.h.LinkSetUp(port))
	return l
}

func TestNotCarried(t *testing.T) {
	kind := func(l func(lower netlink.Link) netlink.Link) kindTest {
		return kindTest{func(s *stage) netlink.Link { return s.add(l(s.link("v"))) }, "", ObstacleKind, ObstacleKind}
	}
	attrs := func(lower netlink.Link) netlink.LinkAttrs {
		return netlink.LinkAttrs{Name: "x", ParentIndex: lower.Attrs().Index}
	}
	plain := func(kind string) func(netlink.Link) netlink.Link {
		return func(lower netlink.Link) netlink.Link {
			return &netlink.GenericLink{LinkAttrs: attrs(lower), LinkType: kind}
		}
	}
	runKinds(t, map[string]kindTest{
		"ipvlan l2": kind(func(l netlink.Link) netlink.Link {
			return &netlink.IPVlan{LinkAttrs: attrs(l), Mode: netlink.IPVLAN_MODE_L2}
		}),
		"ipvlan l3": kind(func(l netlink.Link) netlink.Link {
			return &netlink.IPVlan{LinkAttrs: attrs(l), Mode: netlink.IPVLAN_MODE_L3}
		}),
		"geneve": kind(func(netlink.Link) netlink.Link {
			return &netlink.Geneve{LinkAttrs: netlink.LinkAttrs{Name: "x"}, ID: 5, Remote: hostIP("10.9.9.9")}
		}),
		"gretap": kind(func(netlink.Link) netlink.Link {
			return &netlink.Gretap{LinkAttrs: netlink.LinkAttrs{Name: "x"}, Local: hostIP("10.9.9.8"), Remote: hostIP("10.9.9.9")}
		}),
		"macsec": kind(plain("macsec")),
		"team":   {team, "", ObstacleKind, ObstacleKind},
	})
}

// What a dummy swallows of the kernel it swallows of AF_XDP, counted the same.
func TestCarriedByDummy(t *testing.T) {
	s := newStage(t)
	l := s.add(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "d"}})
	s.upper(l)
	table, err := Open(Options{NetNS: s.ns.FD()})
	must(t, err)
	defer table.Close()
	hop, err := table.Resolve(t.Context(), Query{Dst: stagePeers[0]})
	must(t, err)
	e, o := table.Transmit(hop, 0)
	if e.Device.Name != "d" {
		t.Fatal(o)
	}
	packets := func() uint64 {
		l, err := s.h.LinkByName("d")
		must(t, err)
		return l.Attrs().Statistics.TxPackets
	}
	to := sent{dst: stagePeers[0]}
	for name, send := range map[string]func(){
		"kernel": func() { s.byKernel(hop, to, "kernel") }, "AF_XDP": func() { s.byXDP(table, hop, e, to, "af_xdp") },
	} {
		before := packets()
		send()
		if n := packets() - before; n != 1 {
			t.Errorf("%s: %d frames", name, n)
		}
	}
}
