// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Attributes of the kinds, for messages.
func vlanData(id uint16) message      { return message(nil).attr(iflaVLANID, message(nil).u16(id)) }
func macvlanData(mode uint32) message { return message(nil).attr32(iflaMACVLANMode, mode) }

func bondData(mode, policy uint8, active uint32) message {
	m := message(nil).attr(iflaBondMode, []byte{mode}).attr(iflaBondHash, []byte{policy})
	if active != 0 {
		m = m.attr32(iflaBondActive, active)
	}
	return m
}

func bridgeData(filtering, snooping uint8) message {
	return message(nil).attr(unix.IFLA_BR_VLAN_FILTERING, []byte{filtering}).attr(unix.IFLA_BR_MCAST_SNOOPING, []byte{snooping})
}

func priorities(pairs ...uint32) message {
	var m message
	for i := 0; i < len(pairs); i += 2 {
		m = m.attr(unix.IFLA_VLAN_QOS_MAPPING, message(nil).u32(pairs[i]).u32(pairs[i+1]))
	}
	return message(nil).attr(iflaVLANEgressQoS, m)
}

func (m message) on(link uint32) message   { return m.attr32(unix.IFLA_LINK, link) }
func (m message) of(master uint32) message { return m.attr32(unix.IFLA_MASTER, master) }

// portOfBond is what a port says of itself in IFLA_LINKINFO.
func (m message) portOfBond(queue uint16) message {
	info := message(nil).attr(unix.IFLA_INFO_SLAVE_KIND, []byte("bond\x00")).
		attr(unix.IFLA_INFO_SLAVE_DATA, message(nil).attr(unix.IFLA_BOND_SLAVE_QUEUE_ID, message(nil).u16(queue)))
	return m.attr(unix.IFLA_LINKINFO, info)
}

// stacks are devices of all kinds on one another.
func stacks() *model {
	m := newModel()
	up := func(index int32, name string) message { return ethernet(index, name, flagsUp) }
	for _, body := range []message{
		up(2, "nic"), up(3, "nic2"), up(4, "port").on(2),
		linkMessage(0, unix.ARPHRD_LOOPBACK, 1, unix.IFF_LOOPBACK|flagsUp).name("lo").mtu(65536),
		linkMessage(0, unix.ARPHRD_NONE, 5, flagsUp).name("tun").mtu(1500).kind("tun", nil),
		up(6, "tap").kind("tun", message(nil).attr(unix.IFLA_TUN_PI, []byte{0})),
		up(7, "tap-pi").kind("tun", message(nil).attr(unix.IFLA_TUN_PI, []byte{1})),
		up(8, "dummy").kind("dummy", nil), up(9, "veth").on(77).kind("veth", nil),
		up(10, "vlan").on(2).kind("vlan", vlanData(100)), up(11, "qinq").on(10).kind("vlan", vlanData(7)),
		up(12, "three").on(11).kind("vlan", vlanData(8)),
		up(13, "prio").on(2).kind("vlan", append(vlanData(5), priorities(0, 1, 6, 5)...)),
		up(14, "far").on(2).attr32(unix.IFLA_LINK_NETNSID, 0).kind("vlan", vlanData(5)),
		up(15, "orphan").on(99).kind("vlan", vlanData(5)),
		up(20, "bond").kind("bond", bondData(bondActiveBackup, 0, 3)), up(21, "idle").kind("bond", bondData(bondActiveBackup, 0, 0)),
		up(22, "layer2").kind("bond", bondData(bondLACP, bondHashLayer2, 0)), up(23, "layer34").kind("bond", bondData(bondXOR, 1, 0)),
		up(24, "alb").kind("bond", bondData(6, 0, 0)), up(25, "turns").kind("bond", bondData(bondRoundRobin, 1, 0)),
		up(26, "queues").kind("bond", bondData(bondActiveBackup, 0, 27)), up(27, "queue3").of(26).portOfBond(3),
		up(28, "vlan-bond").on(20).kind("vlan", vlanData(9)), up(29, "vlan-layer2").on(22).kind("vlan", vlanData(9)),
		up(30, "private").on(2).kind("macvlan", macvlanData(macvlanPrivate)), up(31, "bridged").on(2).kind("macvlan", macvlanData(4)),
		up(32, "bridged-ipvlan").on(80).kind("macvlan", macvlanData(4)),
		up(40, "br").kind("bridge", bridgeData(0, 1)), up(41, "quiet").kind("bridge", bridgeData(1, 0)),
		up(42, "vlan-br").on(41).kind("vlan", vlanData(6)), up(43, "vlan-prio-br").on(41).kind("vlan", append(vlanData(6), priorities(6, 5)...)),
		up(44, "tunnels").kind("bridge", bridgeData(0, 0)), up(45, "vx").of(44).kind("vxlan", nil),
		up(46, "qinq-br").on(42).kind("vlan", vlanData(2)), up(47, "p").of(41).kind("veth", nil),
		up(50, "loop").on(51).kind("vlan", vlanData(1)), up(51, "loop2").on(50).kind("vlan", vlanData(1)),
		up(52, "self").on(52).kind("vlan", vlanData(1)), up(53, "self-br").of(53).kind("bridge", nil),
		up(80, "ipvlan").on(2).kind("ipvlan", nil), up(81, "gretap").kind("gretap", nil), up(82, "team").kind("team", nil),
		up(83, "macsec").on(2).kind("macsec", nil), up(84, "vlan-macsec").on(83).kind("vlan", vlanData(3)), up(85, "red").kind("vrf", nil),
	} {
		m.apply(unix.RTM_NEWLINK, body, newChanges())
	}
	return m
}

func TestTransmit(t *testing.T) {
	table := bareTable()
	table.snap.Store(stacks().snapshot(nil, newChanges()))
	tag := func(id uint16) VLAN { return VLAN{ID: id, Proto: 0x8100} }
	for _, test := range []struct {
		from  string
		to    string // empty: there is an obstacle
		vlans []VLAN
		why   Obstacle
	}{
		{from: "nic", to: "nic"}, {from: "veth", to: "veth"}, {from: "dummy", to: "dummy"}, {from: "tap", to: "tap"},
		{from: "port", why: Obstacle{ObstacleKind, "port", "physical"}},
		{from: "lo", why: Obstacle{ObstacleKind, "lo", "loopback"}},
		{from: "tun", why: Obstacle{ObstacleLinkLayer, "tun", "tun"}},
		{from: "tap-pi", why: Obstacle{ObstaclePacketInfo, "tap-pi", "tun"}},
		{from: "vlan", to: "nic", vlans: []VLAN{tag(100)}}, {from: "qinq", to: "nic", vlans: []VLAN{tag(100), tag(7)}},
		{from: "three", to: "three"},
		{from: "prio", to: "nic", vlans: []VLAN{{5, 0x8100, 5}}}, // TOS 0x10: priority 6
		{from: "far", why: Obstacle{ObstacleElsewhere, "far", "vlan"}}, {from: "orphan", why: Obstacle{ObstacleGone, "orphan", "vlan"}},
		{from: "bond", to: "nic2"}, {from: "idle", why: Obstacle{ObstacleBondIdle, "idle", "bond"}},
		{from: "layer2", to: "layer2"}, {from: "turns", to: "turns"},
		{from: "layer34", why: Obstacle{ObstacleBondMode, "layer34", "bond"}}, {from: "alb", why: Obstacle{ObstacleBondMode, "alb", "bond"}},
		{from: "queues", why: Obstacle{ObstacleBondQueue, "queues", "bond"}},
		{from: "vlan-bond", to: "nic2", vlans: []VLAN{tag(9)}}, {from: "vlan-layer2", to: "vlan-layer2"},
		{from: "private", to: "nic"}, {from: "bridged", to: "bridged"},
		{from: "bridged-ipvlan", why: Obstacle{ObstacleKind, "ipvlan", "ipvlan"}},
		{from: "br", to: "br"}, {from: "quiet", to: "quiet"}, {from: "vlan-br", to: "vlan-br"},
		{from: "vlan-prio-br", why: Obstacle{ObstacleVLANPriority, "vlan-prio-br", "vlan"}},
		{from: "qinq-br", to: "qinq-br"},
		{from: "tunnels", why: Obstacle{ObstacleKind, "vx", "vxlan"}},
		{from: "loop", why: Obstacle{ObstacleDepth, "loop", "vlan"}}, {from: "self", why: Obstacle{ObstacleDepth, "self", "vlan"}},
		{from: "self-br", why: Obstacle{ObstacleDepth, "self-br", "bridge"}},
		{from: "ipvlan", why: Obstacle{ObstacleKind, "ipvlan", "ipvlan"}}, {from: "gretap", why: Obstacle{ObstacleKind, "gretap", "gretap"}},
		{from: "team", why: Obstacle{ObstacleKind, "team", "team"}}, {from: "red", why: Obstacle{ObstacleKind, "red", "vrf"}},
		{from: "vlan-macsec", why: Obstacle{ObstacleKind, "macsec", "macsec"}},
	} {
		d, _ := table.DeviceByName(test.from)
		got, why := table.Transmit(Hop{Kind: Unicast, Interface: d.Index, Source: addr("10.0.0.1")}, 0x10)
		if why != test.why || got.Device.Name != test.to {
			t.Errorf("%s leads to %q, %v; want %q, %v", test.from, got.Device.Name, why, test.to, test.why)
		}
		if diff := cmp.Diff(test.vlans, got.VLANs); diff != "" && (len(test.vlans) > 0 || len(got.VLANs) > 0) {
			t.Errorf("%s: tags (-want +got):\n%s", test.from, diff)
		}
	}
	for name, hop := range map[ObstacleID]Hop{
		ObstacleLocal: {Kind: Local, Interface: 2}, ObstacleEncap: {Kind: Unicast, Interface: 2, Encap: true},
		ObstacleGone: {Kind: Unicast, Interface: 77}, ObstacleSnooping: {Kind: Multicast, Interface: 40},
	} {
		if e, why := table.Transmit(hop, 0); why.ID != name {
			t.Errorf("%v: transmits through %s, %v", name, e.Device.Name, why)
		}
	}
	if e, why := table.Transmit(Hop{Kind: Multicast, Interface: 41}, 0); why.ID != NoObstacle {
		t.Errorf("a group without snooping: %s, %v", e.Device.Name, why)
	}
}

// The tag's priority is that of the datagram: IPv4's follows the TOS, IPv6 has none.
func TestTransmitPriority(t *testing.T) {
	table := bareTable()
	table.snap.Store(stacks().snapshot(nil, newChanges()))
	for _, test := range []struct {
		source netip.Addr
		tos    uint8
		want   uint8
	}{
		{addr("10.0.0.1"), 0x10, 5}, {addr("10.0.0.1"), 0, 1}, {addr("10.0.0.1"), 0x08, 0}, {addr("10.0.0.1"), 0x13, 5},
		{addr("10.0.0.1"), 0xb8, 0}, {addr("fd00::1"), 0x10, 1},
	} {
		e, why := table.Transmit(Hop{Kind: Unicast, Interface: 13, Source: test.source}, test.tos)
		if why.ID != NoObstacle || len(e.VLANs) != 1 || e.VLANs[0].Priority != test.want {
			t.Errorf("from %v with TOS %#x: %+v, %v; want priority %d", test.source, test.tos, e.VLANs, why, test.want)
		}
	}
}

func TestObstaclesHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for id := range NumObstacles {
		if obstacles[id].sentence == "" || id.String() == "" || strings.ContainsAny(id.String(), " _") || seen[id.String()] {
			t.Errorf("obstacle %d: %q", id, id.String())
		}
		seen[id.String()] = true
	}
	if got := NumObstacles.String(); !strings.HasPrefix(got, "ObstacleID(") {
		t.Error(got)
	}
	for want, o := range map[string]Obstacle{
		"vx (vxlan): " + obstacles[ObstacleKind].sentence: {ObstacleKind, "vx", "vxlan"}, "vx: " + obstacles[ObstacleGone].sentence: {ObstacleGone, "vx", ""},
		obstacles[ObstacleLocal].sentence: {ID: ObstacleLocal},
	} {
		if o.String() != want {
			t.Errorf("%q, want %q", o, want)
		}
	}
}
