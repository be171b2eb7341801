// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// hop is what a key means now.
func (m *model) hop(k *key) *Hop {
	switch {
	case k.object != 0:
		return m.objectHop(k)
	case k.legs != "":
		h := &Hop{ask: Multipath}
		eachLeg(k.legs, func(l leg) {
			one := *k
			one.legs, one.device, one.gateway, one.encap = "", l.device, l.gateway, l.encap
			h.legs = append(h.legs, m.leg(&one))
		})
		return h
	case k.device == 0:
		return &Hop{ask: Refused}
	}
	return m.single(k)
}

// leg is one next hop of an IPv4 multipath route. The kernel marks it dead when its device goes down or loses its last
// address, and alive when that is over; what it is with a device that is up and has no address depends on what was
// before.
func (m *model) leg(k *key) *Hop {
	h := m.single(k)
	if d := m.devices[k.device]; h.ask == Answered && (!d.carrier || len(m.addresses.counted[k.device]) == 0) {
		h.ask = Device
	}
	return h
}

func (m *model) objectHop(k *key) *Hop {
	o, ok := m.objects[k.object]
	switch {
	case !ok:
		return &Hop{ask: Device, object: true}
	case o.blackhole:
		return &Hop{ask: Refused, object: true}
	case m.hops.mixed[family46(k.six)]:
		return &Hop{ask: Device, object: true}
	case o.isGroup && len(o.group) == 1:
		if o, ok = m.objects[o.group[0]]; !ok || o.isGroup || o.blackhole {
			return &Hop{ask: Device, object: true}
		}
	case o.isGroup:
		return &Hop{ask: Multipath, object: true}
	}
	one := *k
	one.object, one.device, one.gateway, one.encap = 0, o.device, o.gateway, o.encap
	h := m.single(&one)
	h.object = true
	if !k.six && !k.source.IsValid() {
		// The kernel keeps the source with the object, as it was for the scope of whichever route by it came first.
		for _, scope := range []uint8{unix.RT_SCOPE_UNIVERSE, unix.RT_SCOPE_LINK} {
			one.scope = scope
			if m.single(&one).source != h.source {
				h.source = netip.Addr{}
			}
		}
	}
	return h
}

// minMTU6 is the least MTU with which a device has IPv6 (RFC 8200 section 5).
const minMTU6 = 1280

// single is one next hop by one device.
func (m *model) single(k *key) *Hop {
	h := &Hop{Interface: k.device, Gateway: k.gateway, MTU: k.mtu}
	d, ok := m.devices[k.device]
	_, own := m.addresses.formerly[k.gateway]
	_, failed := m.failed[gatewayKey{k.device, k.gateway}]
	switch {
	case !ok || !d.up, k.six && d.mtu < minMTU6, !d.carrier && m.ignored(k.six, k.device):
		h.ask = Device
	case k.encap:
		h.ask = Encapsulation
	case own, m.odd && !k.six && k.gateway.IsValid():
		h.ask = Local
	case k.dying:
		h.ask = Doubtful
	case k.sibling:
		h.ask = Multipath // also of a single one that is left: sources and metrics of the others were not told
	case failed && k.six:
		h.ask = Neighbour
	}
	m.sources(h, k)
	return h
}

func (m *model) ignored(six bool, device int) bool {
	of := m.linkdown[family46(six)]
	_, all := of[netconfAll]
	_, this := of[device]
	return all || this
}

func (m *model) sources(h *Hop, k *key) {
	switch {
	case k.source.IsValid():
		h.source, h.linkSource = k.source, k.source
		if k.six && !m.owns6(k.source) {
			h.source, h.linkSource = netip.Addr{}, netip.Addr{}
		}
	case k.six && !m.devices[k.device].carrier:
		// An address that needs no duplicate address detection counts at once, and is announced when there is a
		// carrier.
	case k.six:
		h.source = m.addresses.select6(k.device, false)
		h.linkSource = m.addresses.select6(k.device, true)
	default:
		gateway := k.gateway
		if !gateway.Is4() {
			gateway = netip.Addr{}
		}
		ip, sure := m.addresses.select4(k.device, gateway, k.scope)
		if sure && (!k.gateway.Is6() || m.only4(k.device)) {
			h.source = ip
		}
	}
}

// only4: an IPv4 route over an IPv6 gateway takes the network of the source from the wrong bytes; it doesn't matter
// where the device has one address.
func (m *model) only4(device int) bool { return len(m.addresses.counted[device]) == 1 }

// owns6: IPv6 keeps a route whose preferred source goes, without it and without a word.
func (m *model) owns6(ip netip.Addr) bool {
	for _, list := range m.addresses.ordered {
		for _, a := range list {
			if a.ip == ip {
				return true
			}
		}
	}
	return false
}

// compiled is the rules of a family with their tables and devices.
func (m *model) compiled(six bool) []rule {
	list := make([]rule, len(m.rules[family46(six)]))
	copy(list, m.rules[family46(six)])
	plain := isPlain(list, six)
	for i := range list {
		r := &list[i]
		if t := m.tables[family46(six)][r.table]; t != nil && r.action == unix.FR_ACT_TO_TBL && t.trie.Size() > 0 {
			r.trie = t.trie
		}
		r.local = plain && r.table == unix.RT_TABLE_LOCAL
		r.target, r.outIndex = -1, -1
		if r.action == unix.FR_ACT_GOTO {
			for j := range list {
				if list[j].priority == r.gotoRule && j > i {
					r.target = j
					break
				}
			}
		}
		if r.out != "" {
			r.outIndex = m.named(r.out)
		}
		r.inLocal = r.in != "" && m.named(r.in) == loopbackIndex
	}
	return list
}

func (m *model) named(name string) int {
	for _, d := range m.devices {
		if d.name == name {
			return d.index
		}
	}
	return -1
}

// loopbackIndex is LOOPBACK_IFINDEX: where datagrams of the host come from, as far as rules see it.
const loopbackIndex = 1

// isPlain reports the rules that a namespace begins with. The kernel then looks IPv4 up in the local and the main table
// at once if it never had others, so that the longest prefix of both counts.
func isPlain(list []rule, six bool) bool {
	if six {
		return false
	}
	return len(list) <= 3 && len(list) > 0 && list[0].table == unix.RT_TABLE_LOCAL
}
