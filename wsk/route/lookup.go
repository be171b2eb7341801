// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"slices"
)

// Device describes the device with this index.
func (t *Table) Device(ifindex int) (Device, bool) {
	if d := t.snap.Load().devices[ifindex]; d != nil {
		return *d, true
	}
	return Device{}, false
}

// DeviceByName describes the device with this name. Alternative names (ip link property) are asked of the kernel every
// time: it doesn't announce those of a device that is down.
func (t *Table) DeviceByName(name string) (Device, bool) {
	s := t.snap.Load()
	if d := s.devices[s.names[name]]; d != nil {
		return *d, true
	}
	return t.Device(t.alternative(name))
}

// alternative is the index of the device with this alternative name, 0 when there is none.
func (t *Table) alternative(name string) int {
	if name == "" || len(name) >= altNameSize || t.closed() {
		return 0
	}
	d, err := t.asker.deviceNamed(name)
	if err != nil {
		return 0
	}
	return d.Index
}

// altNameSize is the longest alternative name with the zero byte after it (linux/if.h, ALTIFNAMSIZ).
const altNameSize = 128

// Devices describes all devices, by index. The slice is the caller's.
func (t *Table) Devices() []Device {
	s := t.snap.Load()
	list := make([]Device, 0, len(s.devices))
	for _, d := range s.devices {
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b Device) int { return a.Index - b.Index })
	return list
}

// Addresses lists the addresses of the host with IP version 4 or 6, or all of them for 0, by interface and address. The
// slice is the caller's.
func (t *Table) Addresses(version int) []Address {
	var list []Address
	for _, a := range t.snap.Load().addresses.all {
		if version == 0 || (version == 4) == a.IP.Is4() {
			list = append(list, a)
		}
	}
	return list
}

// IsLocal reports whether the address is one of this host that can be used now; all of 127.0.0.0/8 is. The zone of an
// IPv6 address, when there is one, must be the interface.
func (t *Table) IsLocal(ip netip.Addr) bool { return t.snap.Load().isLocal(ip) }

func (s *snapshot) isLocal(ip netip.Addr) bool {
	if _, ok := s.addressDevice(ip); ok {
		return true
	}
	return s.inLoopbackNet(ip)
}

// AddressDevice tells which interface has the address; the one with the lowest index when several have it and no zone
// decides.
func (t *Table) AddressDevice(ip netip.Addr) (ifindex int, ok bool) {
	return t.snap.Load().addressDevice(ip)
}

// IsBroadcast reports whether the address is 255.255.255.255 or the broadcast address of a network of this host.
func (t *Table) IsBroadcast(ip netip.Addr) bool {
	return t.snap.Load().isBroadcast(ip.Unmap())
}
