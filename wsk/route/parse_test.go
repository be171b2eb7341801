// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// linkMessage is the body of an RTM_NEWLINK without attributes.
func linkMessage(family uint8, hardware uint16, index int32, flags uint32) message {
	return message(nil).u8(family, 0).u16(hardware).u32(uint32(index)).u32(flags).u32(0)
}

func (m message) name(s string) message { return m.attr(unix.IFLA_IFNAME, append([]byte(s), 0)) }

func (m message) mtu(n uint32) message { return m.attr32(unix.IFLA_MTU, n) }

func (m message) kind(kind string, data message) message {
	info := message(nil).attr(unix.IFLA_INFO_KIND, append([]byte(kind), 0)).attr(unix.IFLA_INFO_DATA|unix.NLA_F_NESTED, data)
	return m.attr(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, info)
}

func neighbourMessage(index int32, ip netip.Addr, state uint16, mac ...byte) message {
	m := neighbourBody(neighbourKey{int(index), ip}, 0)
	binary.NativeEndian.PutUint16(m[8:], state)
	if mac != nil {
		m = m.attr(unix.NDA_LLADDR, mac)
	}
	return m
}

func addressMessage(index uint32, prefix string, flags uint32, extra ...message) message {
	p := netip.MustParsePrefix(prefix)
	family, _ := addressFamily(p.Addr())
	m := message(nil).u8(family, uint8(p.Bits()), 0, 0).u32(index).attr(unix.IFA_ADDRESS, p.Addr().AsSlice()).
		attr32(unix.IFA_FLAGS, flags)
	for _, e := range extra {
		m = append(m, e...)
	}
	return m
}

func TestParseLink(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 1}
	up := uint32(unix.IFF_UP | unix.IFF_LOWER_UP)
	inet6 := message(nil).attr(unix.IFLA_INET6_CONF, message(nil).u32(0).u32(64).u32(1400).u32(1))
	veth := linkMessage(0, unix.ARPHRD_ETHER, 7, up).name("veth0").mtu(1500).attr(unix.IFLA_ADDRESS, mac).
		attr32(unix.IFLA_LINK, 8).attr32(unix.IFLA_MASTER, 3).attr32(unix.IFLA_NUM_TX_QUEUES, 4).
		attr32(unix.IFLA_NUM_RX_QUEUES, 2).
		attr(unix.IFLA_AF_SPEC, message(nil).attr(unix.AF_INET6, inet6)).kind("veth", nil)
	tests := map[string]struct {
		in   message
		want Device
		ok   bool
	}{
		"veth": {veth, Device{
			Index: 7, Name: "veth0", MAC: [6]byte(mac), MTU: 1500, MTU6: 1400, Type: TypeVeth, Kind: "veth", Up: true,
			Carrier: true, Ethernet: true, TxQueues: 4, RxQueues: 2, Master: 3,
		}, true},
		"hardware": {
			linkMessage(0, unix.ARPHRD_ETHER, 2, unix.IFF_UP).name("eth9").mtu(9000).attr(unix.IFLA_CARRIER, []byte{1}),
			Device{Index: 2, Name: "eth9", MTU: 9000, Type: TypePhysical, Up: true, Carrier: true, Ethernet: true}, true,
		},
		"loopback": {
			linkMessage(0, unix.ARPHRD_LOOPBACK, 1, unix.IFF_LOOPBACK).name("lo").mtu(65536),
			Device{Index: 1, Name: "lo", MTU: 65536, Type: TypeLoopback, Ethernet: true, NoARP: true}, true,
		},
		"tun-has-no-mac": {
			linkMessage(0, unix.ARPHRD_NONE, 5, unix.IFF_POINTOPOINT|unix.IFF_NOARP).name("t0").mtu(1400).
				attr(unix.IFLA_ADDRESS, mac).kind("tun", nil),
			Device{Index: 5, Name: "t0", MTU: 1400, Type: TypeTun, Kind: "tun", NoARP: true, PointToPoint: true}, true,
		},
		"infiniband-address-is-not-a-mac": {
			linkMessage(0, unix.ARPHRD_INFINIBAND, 5, 0).name("ib0").mtu(2044).attr(unix.IFLA_ADDRESS, make([]byte, 20)),
			Device{Index: 5, Name: "ib0", MTU: 2044}, true,
		},
		"vlan": {
			linkMessage(0, unix.ARPHRD_ETHER, 9, 0).name("v").mtu(1500).attr32(unix.IFLA_LINK, 2).
				kind("vlan", message(nil).attr(iflaVLANID, message(nil).u16(100)).attr(iflaVLANProtocol, []byte{0x88, 0xa8})),
			Device{
				Index: 9, Name: "v", MTU: 1500, Type: TypeVLAN, Kind: "vlan", Ethernet: true, Parent: 2,
				VLAN: VLAN{ID: 100, Proto: 0x88a8},
			}, true,
		},
		"vlan-over-another-namespace": {
			linkMessage(0, unix.ARPHRD_ETHER, 9, 0).name("v").mtu(1500).attr32(unix.IFLA_LINK, 2).
				attr32(unix.IFLA_LINK_NETNSID, 0).kind("vlan", message(nil).attr(iflaVLANID, message(nil).u16(5)).
				attr(iflaVLANEgressQoS, message(nil).attr(1, message(nil).u32(6).u32(5)).attr(1, message(nil).u32(99).u32(5)).
					attr(1, make([]byte, 7)))),
			Device{
				Index: 9, Name: "v", MTU: 1500, Type: TypeVLAN, Kind: "vlan", Ethernet: true, ParentElsewhere: true,
				VLAN: VLAN{ID: 5, Proto: 0x8100}, priorities: [8]uint8{6: 5},
			}, true,
		},
		"macvlan": {
			linkMessage(0, unix.ARPHRD_ETHER, 9, 0).name("m").mtu(1500).attr32(unix.IFLA_LINK, 2).
				kind("macvlan", message(nil).attr32(iflaMACVLANMode, macvlanVEPA)),
			Device{
				Index: 9, Name: "m", MTU: 1500, Type: TypeMACVLAN, Kind: "macvlan", Ethernet: true, Parent: 2, mode: macvlanVEPA,
			}, true,
		},
		"bond": {
			linkMessage(0, unix.ARPHRD_ETHER, 9, 0).name("b").mtu(1500).
				kind("bond", message(nil).attr(iflaBondMode, []byte{1}).attr32(iflaBondActive, 4)),
			Device{
				Index: 9, Name: "b", MTU: 1500, Type: TypeBond, Kind: "bond", Ethernet: true, mode: bondActiveBackup, activeSlave: 4,
			}, true,
		},
		"bridge-port-state":   {linkMessage(unix.AF_BRIDGE, unix.ARPHRD_ETHER, 7, up).name("veth0").mtu(1500), Device{}, false},
		"wireless-extension":  {linkMessage(0, unix.ARPHRD_ETHER, 7, up).name("wlan0"), Device{}, false},
		"no-name":             {linkMessage(0, unix.ARPHRD_ETHER, 7, up).mtu(1500), Device{}, false},
		"index-zero":          {linkMessage(0, unix.ARPHRD_ETHER, 0, up).name("x").mtu(1500), Device{}, false},
		"negative-index":      {linkMessage(0, unix.ARPHRD_ETHER, -4, up).name("x").mtu(1500), Device{}, false},
		"short":               {veth[:15], Device{}, false},
		"attribute-too-long":  {append(linkMessage(0, 1, 7, up), 0xff, 0xff, 3, 0, 'x'), Device{}, false},
		"attribute-too-short": {append(linkMessage(0, 1, 7, up), 3, 0, 3, 0), Device{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := parseLink(test.in)
			if ok != test.ok || got != test.want {
				t.Errorf("got %+v, %v\nwant %+v, %v", got, ok, test.want, test.ok)
			}
		})
	}
}

func TestParseLink6(t *testing.T) {
	conf := message(nil).attr(unix.IFLA_INET6_CONF, message(nil).u32(0).u32(64).u32(1280))
	in := linkMessage(unix.AF_INET6, 1, 7, 0).attr(unix.IFLA_PROTINFO, conf)
	if index, mtu, ok := parseLink6(in); index != 7 || mtu != 1280 || !ok {
		t.Errorf("got %d, %d, %v", index, mtu, ok)
	}
	if _, _, ok := parseLink6(linkMessage(0, 1, 7, 0).attr(unix.IFLA_PROTINFO, conf)); ok {
		t.Error("took a message of family AF_UNSPEC")
	}
	short := linkMessage(unix.AF_INET6, 1, 7, 0).attr(unix.IFLA_PROTINFO, message(nil).attr(unix.IFLA_INET6_CONF, make([]byte, 8)))
	if _, _, ok := parseLink6(short); ok {
		t.Error("took a configuration without MTU")
	}
}

func TestParseLinkGone(t *testing.T) {
	if index, ok := parseLinkGone(linkMessage(0, 1, 7, 0)); index != 7 || !ok {
		t.Errorf("got %d, %v", index, ok)
	}
	for _, family := range []uint8{unix.AF_BRIDGE, unix.AF_INET6} {
		if _, ok := parseLinkGone(linkMessage(family, 1, 7, 0)); ok {
			t.Errorf("family %d taken for a deletion", family)
		}
	}
}

func TestParseAddress(t *testing.T) {
	local := func(s string) message { return message(nil).attr(unix.IFA_LOCAL, addr(s).AsSlice()) }
	broadcast := message(nil).attr(unix.IFA_BROADCAST, addr("10.0.0.255").AsSlice())
	tests := map[string]struct {
		in   message
		want Address
		ok   bool
	}{
		"ipv4": {addressMessage(3, "10.0.0.1/24", unix.IFA_F_PERMANENT, local("10.0.0.1"), broadcast), Address{
			IP: addr("10.0.0.1"), Prefix: netip.MustParsePrefix("10.0.0.0/24"), Broadcast: addr("10.0.0.255"), Interface: 3,
		}, true},
		"point-to-point": {addressMessage(3, "10.0.0.2/32", 0, local("10.0.0.1")), Address{
			IP: addr("10.0.0.1"), Prefix: netip.MustParsePrefix("10.0.0.2/32"), Interface: 3,
		}, true},
		"ipv6": {addressMessage(3, "fd00::1/64", unix.IFA_F_PERMANENT), Address{
			IP: addr("fd00::1"), Prefix: netip.MustParsePrefix("fd00::/64"), Interface: 3,
		}, true},
		"tentative": {addressMessage(3, "fd00::1/64", unix.IFA_F_TENTATIVE), Address{
			IP: addr("fd00::1"), Prefix: netip.MustParsePrefix("fd00::/64"), Interface: 3, Tentative: true,
		}, true},
		"optimistic-can-be-used": {addressMessage(3, "fd00::1/64", unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC), Address{
			IP: addr("fd00::1"), Prefix: netip.MustParsePrefix("fd00::/64"), Interface: 3,
		}, true},
		"duplicate": {addressMessage(3, "fd00::1/64", unix.IFA_F_DADFAILED|unix.IFA_F_OPTIMISTIC), Address{
			IP: addr("fd00::1"), Prefix: netip.MustParsePrefix("fd00::/64"), Interface: 3, Tentative: true,
		}, true},
		"deprecated": {addressMessage(3, "fd00::1/64", unix.IFA_F_DEPRECATED), Address{
			IP: addr("fd00::1"), Prefix: netip.MustParsePrefix("fd00::/64"), Interface: 3, Deprecated: true,
		}, true},
		"no-address":   {message(nil).u8(unix.AF_INET, 24, 0, 0).u32(3), Address{}, false},
		"long-prefix":  {message(nil).u8(unix.AF_INET, 33, 0, 0).u32(3).attr(unix.IFA_LOCAL, make([]byte, 4)), Address{}, false},
		"wrong-family": {message(nil).u8(unix.AF_INET, 24, 0, 0).u32(3).attr(unix.IFA_LOCAL, make([]byte, 16)), Address{}, false},
		"other-family": {message(nil).u8(unix.AF_MPLS, 24, 0, 0).u32(3).attr(unix.IFA_LOCAL, make([]byte, 4)), Address{}, false},
		"no-interface": {addressMessage(0, "10.0.0.1/24", 0), Address{}, false},
		"odd-broadcast": {addressMessage(3, "10.0.0.1/24", 0, message(nil).attr(unix.IFA_BROADCAST, make([]byte, 3))), Address{
			IP: addr("10.0.0.1"), Prefix: netip.MustParsePrefix("10.0.0.0/24"), Interface: 3,
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := parseAddress(test.in)
			if ok != test.ok || got != test.want {
				t.Errorf("got %+v, %v\nwant %+v, %v", got, ok, test.want, test.ok)
			}
		})
	}
}

func TestParseNeighbour(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 9}
	proxy := neighbourMessage(3, addr("10.0.0.9"), unix.NUD_PERMANENT, mac...)
	proxy[10] = unix.NTF_PROXY
	bridge := neighbourMessage(3, addr("10.0.0.9"), unix.NUD_REACHABLE, mac...)
	bridge[0] = unix.AF_BRIDGE
	tests := map[string]struct {
		in     message
		ok     bool
		usable bool
	}{
		"reachable":       {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_REACHABLE, mac...), true, true},
		"stale":           {neighbourMessage(3, addr("fe80::9"), unix.NUD_STALE, mac...), true, true},
		"delay":           {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_DELAY, mac...), true, true},
		"probe":           {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_PROBE, mac...), true, true},
		"permanent":       {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_PERMANENT, mac...), true, true},
		"noarp":           {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_NOARP, mac...), true, true},
		"incomplete":      {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_INCOMPLETE), true, false},
		"failed":          {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_FAILED), true, false},
		"failed-with-mac": {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_FAILED, mac...), true, false},
		"no-mac":          {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_REACHABLE), true, false},
		"long-mac":        {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_REACHABLE, make([]byte, 20)...), true, false},
		"proxy":           {proxy, false, false},
		"bridge-entry":    {bridge, false, false},
		"no-interface":    {neighbourMessage(0, addr("10.0.0.9"), unix.NUD_REACHABLE, mac...), false, false},
		"short":           {message(nil).u8(unix.AF_INET, 0), false, false},
		"no-address":      {neighbourMessage(3, addr("10.0.0.9"), unix.NUD_REACHABLE)[:ndLen], false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n, ok := parseNeighbour(test.in)
			if ok != test.ok || ok && n.usable() != test.usable {
				t.Errorf("got %+v, %v, usable %v", n, ok, n.usable())
			}
			if ok && test.usable && (n.mac != [6]byte(mac) || n.key.index != 3) {
				t.Errorf("got %+v", n)
			}
		})
	}
}

func TestParseRoute(t *testing.T) {
	header := func(family, typ uint8) message { return message(nil).u8(family, 0, 0, 0, 0, 0, 0, typ).u32(0) }
	metrics := message(nil).attr32(1, 7).attr32(unix.RTAX_MTU, 1400)
	tests := map[string]struct {
		in   message
		want answer
		ok   bool
	}{
		"gateway": {
			header(unix.AF_INET, unix.RTN_UNICAST).attr32(unix.RTA_OIF, 3).attr(unix.RTA_GATEWAY, []byte{10, 0, 0, 1}).
				attr(unix.RTA_PREFSRC, []byte{10, 0, 0, 5}).attr(unix.RTA_METRICS, metrics),
			answer{typ: unix.RTN_UNICAST, index: 3, gateway: addr("10.0.0.1"), source: addr("10.0.0.5"), mtu: 1400}, true,
		},
		"ipv6-next-hop": {
			header(unix.AF_INET, unix.RTN_UNICAST).attr32(unix.RTA_OIF, 3).
				attr(unix.RTA_VIA, append(message(nil).u16(unix.AF_INET6), addr("fe80::1").AsSlice()...)),
			answer{typ: unix.RTN_UNICAST, index: 3, gateway: addr("fe80::1")}, true,
		},
		"encap": {
			header(unix.AF_INET6, unix.RTN_UNICAST).attr32(unix.RTA_OIF, 3).attr(unix.RTA_ENCAP_TYPE, message(nil).u16(1)),
			answer{typ: unix.RTN_UNICAST, index: 3, encap: true}, true,
		},
		"gateway-of-wrong-length": {
			header(unix.AF_INET, unix.RTN_UNICAST).attr32(unix.RTA_OIF, 3).attr(unix.RTA_GATEWAY, make([]byte, 16)),
			answer{typ: unix.RTN_UNICAST, index: 3}, true,
		},
		"negative-interface": {
			header(unix.AF_INET, unix.RTN_UNICAST).attr32(unix.RTA_OIF, 0x80000000), answer{typ: unix.RTN_UNICAST}, true,
		},
		"short": {message{unix.AF_INET, 0}, answer{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := parseRoute(test.in)
			if ok != test.ok || got != test.want {
				t.Errorf("got %+v, %v\nwant %+v, %v", got, ok, test.want, test.ok)
			}
		})
	}
}

// FuzzApply feeds any bytes as any message to the model: nothing may panic, and what the model then holds must be of
// the kind that the rest relies on.
func FuzzApply(f *testing.F) {
	mac := []byte{2, 0, 0, 0, 0, 9}
	f.Add(uint16(unix.RTM_NEWLINK), []byte(linkMessage(0, 1, 7, 1).name("a").mtu(1500).attr(unix.IFLA_ADDRESS, mac).kind("veth", nil)))
	f.Add(uint16(unix.RTM_NEWLINK), []byte(linkMessage(0, 1, 9, 1).name("v").mtu(1500).attr32(unix.IFLA_LINK, 9).
		kind("vlan", message(nil).attr(iflaVLANID, []byte{1, 0}))))
	f.Add(uint16(unix.RTM_NEWLINK), []byte(linkMessage(unix.AF_INET6, 1, 7, 0).attr(unix.IFLA_PROTINFO, nil)))
	f.Add(uint16(unix.RTM_DELLINK), []byte(linkMessage(0, 1, 7, 0)))
	f.Add(uint16(unix.RTM_NEWADDR), []byte(addressMessage(7, "10.0.0.1/24", 0)))
	f.Add(uint16(unix.RTM_DELADDR), []byte(addressMessage(7, "fd00::1/64", 0)))
	f.Add(uint16(unix.RTM_NEWNEIGH), []byte(neighbourMessage(7, addr("10.0.0.9"), unix.NUD_REACHABLE, mac...)))
	f.Add(uint16(unix.RTM_DELNEIGH), []byte(neighbourMessage(7, addr("fe80::9"), 0)))
	f.Add(uint16(unix.RTM_NEWROUTE), []byte{2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0, 0})
	f.Add(uint16(unix.RTM_NEWNETCONF), []byte(message{unix.AF_INET, 0, 0, 0}.attr32(netconfIndex, 7).attr32(netconfRPFilter, 2)))
	f.Add(uint16(unix.RTM_NEWRULE), []byte(append(message{unix.AF_INET}, make(message, fibRuleLen-1)...).attr32(unix.FRA_DPORT_RANGE, 1)))
	f.Fuzz(func(t *testing.T, typ uint16, b []byte) {
		m, c := newModel(), newChanges()
		m.apply(unix.RTM_NEWLINK, linkMessage(0, unix.ARPHRD_ETHER, 7, 0).name("base").mtu(1500), c)
		m.apply(typ, b, c)
		s := m.snapshot(nil, c)
		for index, d := range s.devices {
			if d.Index != index || index <= 0 || d.MTU < 0 || d.MTU6 < 0 || d.Name == "" {
				t.Errorf("device %d: %+v", index, *d)
			}
		}
		for _, a := range s.addresses.all {
			if !a.IP.IsValid() || !a.Prefix.IsValid() || a.IP.Zone() != "" || a.Interface <= 0 {
				t.Errorf("address %+v", a)
			}
		}
		table := bareTable()
		table.snap.Store(s)
		for index := range s.devices {
			table.Transmit(Hop{Kind: Multicast, Interface: index}, 0)
		}
		for index, r := range s.filters {
			if (index <= 0 && index != netconfAll) || r == ReversePathOff || r > ReversePathLoose {
				t.Errorf("filter %v of %d", r, index)
			}
		}
		parseRoute(b)
		if dst, ok := parseRedirect(b); ok && !dst.IsValid() {
			t.Error("a redirect about nothing")
		}
		m.rules.add(b)
		// A dump of the same must change nothing more.
		again := newChanges()
		m.replace(m, again, sameDevice)
		if len(again.events) != 0 || again.devices || again.addresses || again.neighbours {
			t.Errorf("replacing a model by itself: %+v", again)
		}
	})
}

func TestMessageAttributesRoundTrip(t *testing.T) {
	m := message(nil).attr(1, []byte{1}).attr32(2, 0xdeadbeef).attr(3|unix.NLA_F_NESTED, []byte("abcde"))
	var got []rtattr.Attr
	rtattr.Each(m, func(a rtattr.Attr) { got = append(got, a) })
	want := []rtattr.Attr{
		{Type: 1, Value: []byte{1}}, {Type: 2, Value: []byte{0xef, 0xbe, 0xad, 0xde}}, {Type: 3, Value: []byte("abcde")},
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		want[1].Value = []byte{0xde, 0xad, 0xbe, 0xef}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(m)%4 != 0 {
		t.Errorf("%d bytes are not padded", len(m))
	}
}

func errorIs(err, want error) bool {
	if want == nil {
		return err == nil
	}
	return errors.Is(err, want)
}
