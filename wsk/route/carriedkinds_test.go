// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// kindTest is a row of the table of Transmit: how to make the device, what AF_XDP is to be bound to, and what is in the way.
type kindTest struct {
	build               func(s *stage) netlink.Link
	bound               string
	obstacle, forGroups ObstacleID
}

// What is carried arrives as the kernel's own datagram does, and what is not says why. Kinds that the running kernel lacks are
// skipped here and run in guests.
func TestCarriedAsTheKernels(t *testing.T) {
	runKinds(t, map[string]kindTest{
		"veth":              {func(s *stage) netlink.Link { return s.link("v") }, "v", 0, 0},
		"macvlan bridge":    {macvlanWithSibling, "mv", 0, 0},
		"macvlan private":   {macvlan(netlink.MACVLAN_MODE_PRIVATE), "v", 0, 0},
		"macvlan VEPA":      {macvlan(netlink.MACVLAN_MODE_VEPA), "v", 0, 0},
		"macvlan passthru":  {macvlan(netlink.MACVLAN_MODE_PASSTHRU), "v", 0, 0},
		"macvlan on bridge": {macvlanOnBridge, "mv", 0, 0},
		"bridge": {func(s *stage) netlink.Link {
			return s.bridge("br", false, false, s.link("p0"), s.link("p1"))
		}, "br", 0, 0},
		"bridge with a known neighbour": {bridgeKnows, "br", 0, 0},
		"bridge with snooping": {func(s *stage) netlink.Link {
			return s.bridge("br", false, true, s.link("p0"), s.link("p1"))
		}, "br", 0, ObstacleSnooping},
		"bridge with VLANs": {func(s *stage) netlink.Link {
			return s.bridge("br", true, false, s.link("p0"), s.link("p1"))
		}, "br", 0, 0},
		"bridge with a tap": {func(s *stage) netlink.Link {
			tap := s.tapDevice("tap", unix.IFF_TAP|unix.IFF_NO_PI)
			must(s.t, s.h.LinkSetUp(tap))
			return s.bridge("br", false, false, s.link("p0"), tap)
		}, "br", 0, 0},
		"bridge with a tunnel": {func(s *stage) netlink.Link {
			return s.bridge("br", false, false, s.link("p0"), s.vxlan("vx", s.link("v")))
		}, "", ObstacleKind, ObstacleKind},
		"tap": {func(s *stage) netlink.Link {
			return s.tapDevice("tap", unix.IFF_TAP|unix.IFF_NO_PI)
		}, "tap", 0, 0},
		"tap with protocol": {func(s *stage) netlink.Link {
			return s.tapDevice("tap", unix.IFF_TAP)
		}, "", ObstaclePacketInfo, ObstaclePacketInfo},
		"tun": {func(s *stage) netlink.Link {
			return s.tapDevice("tun", unix.IFF_TUN|unix.IFF_NO_PI)
		}, "", ObstacleLinkLayer, ObstacleLinkLayer},
		"vxlan":   {func(s *stage) netlink.Link { return s.vxlan("vx", s.link("v")) }, "", ObstacleKind, ObstacleKind},
		"macvtap": {macvtap, "", ObstacleKind, ObstacleKind},
		"ifb": {func(s *stage) netlink.Link {
			return s.add(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: "ifb"}})
		}, "", ObstacleKind, ObstacleKind},
		"macvlan in another namespace": {macvlanElsewhere, "", ObstacleElsewhere, ObstacleElsewhere},
	})
}

func runKinds(t *testing.T, tests map[string]kindTest) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			l := test.build(s)
			s.upper(l)
			s.compare(l.Attrs().Name, test.bound, test.obstacle, test.forGroups)
		})
	}
}

func macvlan(mode netlink.MacvlanMode) func(s *stage) netlink.Link {
	return func(s *stage) netlink.Link {
		lower := s.link("v")
		return s.add(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mv", ParentIndex: lower.Attrs().Index}, Mode: mode})
	}
}

// macvlanWithSibling: the neighbour is a macvlan beside the sender, in another namespace, and groups go both there and out.
func macvlanWithSibling(s *stage) netlink.Link {
	lower := s.link("v")
	attrs := netlink.LinkAttrs{Name: "sibling", ParentIndex: lower.Attrs().Index, HardwareAddr: hardware(9), Namespace: netlink.NsFd(s.out.FD())}
	must(s.t, s.h.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}))
	sibling, err := testenv.FindIface(s.out, "sibling")
	must(s.t, err)
	must(s.t, sibling.SetUp())
	s.tap(sibling)
	return s.add(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mv", ParentIndex: lower.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE,
	})
}

func macvlanOnBridge(s *stage) netlink.Link {
	br := s.bridge("br", false, false, s.link("p0"), s.link("p1"))
	must(s.t, s.h.LinkSetUp(br))
	return s.add(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mv", ParentIndex: br.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE,
	})
}

// macvlanElsewhere: the sender's device stands on one that it can't see.
func macvlanElsewhere(s *stage) netlink.Link {
	h := handle(s.t, s.out)
	lower := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v"}, PeerName: "w"}
	must(s.t, h.LinkAdd(lower))
	must(s.t, setUp(h, "v", "w"))
	v, err := testenv.FindIface(s.out, "v")
	must(s.t, err)
	must(s.t, h.LinkAdd(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mv", ParentIndex: v.Index(), Namespace: netlink.NsFd(s.ns.FD())}, Mode: netlink.MACVLAN_MODE_BRIDGE,
	}))
	l, err := s.h.LinkByName("mv")
	must(s.t, err)
	return l
}

func macvtap(s *stage) netlink.Link {
	lower := s.link("v")
	return s.add(&netlink.Macvtap{Macvlan: netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mt", ParentIndex: lower.Attrs().Index}, Mode: netlink.MACVLAN_MODE_VEPA,
	}})
}

// bridgeKnows: the bridge has learned behind which port the neighbour is.
func bridgeKnows(s *stage) netlink.Link {
	p0, p1 := s.link("p0"), s.link("p1")
	br := s.bridge("br", false, false, p0, p1)
	must(s.t, s.h.NeighAppend(&netlink.Neigh{
		LinkIndex: p1.Attrs().Index, Family: unix.AF_BRIDGE, State: unix.NUD_PERMANENT, Flags: unix.NTF_MASTER, HardwareAddr: s.neighbour[:],
	}))
	return br
}

func (s *stage) vxlan(name string, lower netlink.Link) netlink.Link {
	s.t.Helper()
	return s.add(&netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: name}, VxlanId: 66, VtepDevIndex: lower.Attrs().Index, Group: hostIP("239.6.6.6"), Port: 4789,
	})
}

func hostIP(s string) []byte { return addr(s).AsSlice() }
