// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"maps"

	"golang.org/x/sys/unix"
)

func nativeIndex(b []byte) int32 { return int32(binary.NativeEndian.Uint32(b)) }

// setDevice takes a state of a device. That it is down is taken as often as it is said: the picture may have been ahead
// of the event.
func (m *model) setDevice(d device) {
	old := m.devices[d.index]
	m.devices[d.index] = d
	m.changed = m.changed || old.name != d.name // rules name devices
	m.touch(d.index)
	if old.mtu != d.mtu {
		m.doubtMetrics(d.index)
	}
	if !d.up {
		m.flush(d.index, true, false)
	}
	if !d.up || !d.carrier {
		m.doubtObjects()
	}
}

// deleteDevice: with it go its routes, those too that have other legs besides.
func (m *model) deleteDevice(index int) {
	delete(m.devices, index)
	m.changed = true // rules may have named it
	m.touch(index)
	m.flush(index, false, false)
	delete(m.addresses.counted, index)
	for i := range m.linkdown {
		delete(m.linkdown[i], index)
	}
	for k := range m.failed {
		if k.device == index {
			delete(m.failed, k)
		}
	}
	m.doubtObjects()
	m.wish.addresses = true
}

// touch makes the Hops anew that may follow from the state of a device.
func (m *model) touch(index int) {
	if len(m.objects) > 0 {
		m.hops.stale = true
	}
	m.hops.staleDev[index] = struct{}{}
	m.hops.staleDev[0] = struct{}{} // multipath routes have their devices elsewhere
}

// flush takes out what the kernel takes out without a word.
//
// IPv4 (net/ipv4/fib_semantics.c, fib_sync_down_dev): when a device goes down, all its routes but those of scope host,
// and multipath routes when the last leg goes; when its last address goes, those too; when the device goes, each with a
// leg there.
//
// IPv6 announces what it takes out, unless net.ipv6.route.skip_notify_on_dev_down tells it not to.
func (m *model) flush(device int, down, only4 bool) {
	for id := range m.hops.keys {
		k := &m.hops.keys[id]
		if m.hops.uses[id] == 0 || m.hops.removed[id] || !k.usesDevice(device) {
			continue
		}
		switch {
		case k.six && (down || only4):
			continue
		case down && k.scope == unix.RT_SCOPE_HOST:
			continue
		case k.legs != "" && (down || only4) && m.someLeg(k, device):
			continue
		}
		m.hops.remove(uint32(id))
	}
}

// someLeg reports whether a multipath route has a leg by another device that is up.
func (m *model) someLeg(k *key, but int) (some bool) {
	eachLeg(k.legs, func(l leg) {
		some = some || l.device != but && m.devices[l.device].up && len(m.addresses.counted[l.device]) > 0
	})
	return some
}

// applyAddress takes a change of an address.
func (m *model) applyAddress(a address, added bool) {
	if added && m.addresses.has(a) {
		return // a renewed lifetime
	}
	m.wish.addresses = true
	none := m.addresses.event(a, added)
	if added {
		return
	}
	if none && a.ip.Is4() {
		m.flush(a.device, false, true)
	}
	// Routes with this preferred source are gone (IPv4: of the main table, and some kernels don't announce it) or have
	// it no longer (IPv6).
	for id := range m.hops.keys {
		if m.hops.keys[id].source == a.ip && m.hops.uses[id] > 0 && !m.hops.removed[id] && !m.announces(id, a) {
			m.wish.routes[family46(a.ip.Is6())] = true
			return
		}
	}
}

// announces: what the kernel has made for an address itself it takes away itself, with a message for each.
func (m *model) announces(id int, a address) bool {
	k := &m.hops.keys[id]
	return k.kernel && k.device == a.device
}

// setAddresses takes a dump of them.
func (m *model) setAddresses(all []address) {
	own := m.addresses.own.all
	m.addresses.list(all)
	m.changed = m.changed || !maps.Equal(own, m.addresses.own.all)
	m.hops.stale = true
}

func (m *model) setFailed(k gatewayKey, failed bool) {
	if _, is := m.failed[k]; is == failed {
		return
	}
	if failed {
		m.failed[k] = struct{}{}
	} else {
		delete(m.failed, k)
	}
	if m.hops.gateways[k] > 0 || len(m.objects) > 0 {
		m.touch(k.device)
	}
}

func (m *model) setLinkdown(six bool, index int, on bool) {
	of := m.linkdown[family46(six)]
	if _, is := of[index]; is == on {
		return
	}
	if on {
		of[index] = struct{}{}
	} else {
		delete(of, index)
	}
	m.hops.stale = true
}

func (m *model) setObject(id uint32, o object) {
	m.objects[id] = o
	m.hops.stale = true
}

// deleteObject: its routes go with it, IPv4's without a word.
func (m *model) deleteObject(id uint32) {
	delete(m.objects, id)
	m.hops.stale = true
	for n := range m.hops.keys {
		if m.hops.keys[n].object == id && m.hops.uses[n] > 0 && !m.hops.removed[n] {
			m.hops.remove(uint32(n))
		}
	}
}

// doubtObjects: the kernel removes the objects of a device that goes down or loses its carrier, and says nothing.
func (m *model) doubtObjects() {
	if len(m.objects) > 0 {
		m.wish.objects = true
	}
}

// setObjects takes a dump of them.
func (m *model) setObjects(now map[uint32]object) {
	for id := range m.objects {
		if _, ok := now[id]; !ok {
			m.deleteObject(id)
		}
	}
	m.objects = now
	m.hops.stale = true
}

// doubtMetrics: with the MTU of a device IPv6 changes the MTU of its routes that have one of their own
// (net/ipv6/route.c, rt6_mtu_change_route).
func (m *model) doubtMetrics(device int) {
	for id := range m.hops.keys {
		k := &m.hops.keys[id]
		if k.six && k.mtu != 0 && m.hops.uses[id] > 0 && (k.object != 0 || k.device == device) {
			m.wish.routes[v6] = true
			return
		}
	}
}
