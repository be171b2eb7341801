// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"slices"
	"strconv"
)

// snapshot is the table at one moment. Nothing in it changes after it was published; consecutive snapshots share what
// did not change.
type snapshot struct {
	devices   map[int]*Device
	names     map[string]int
	addresses *addressBook
	// macs are the usable neighbours.
	macs  map[neighbourKey][6]byte
	rules rules
}

// addressBook is everything derived from the addresses of the host.
type addressBook struct {
	all        []Address            // by interface, then address
	local      map[netip.Addr][]int // usable ones → interfaces, ascending
	loopback   []netip.Prefix       // IPv4: every address of a network on a loopback device is local
	broadcasts map[netip.Addr]struct{}
}

func newAddressBook(all []Address, devices map[int]*Device) *addressBook {
	slices.SortFunc(all, func(a, b Address) int {
		if a.Interface != b.Interface {
			return a.Interface - b.Interface
		}
		if c := a.IP.Compare(b.IP); c != 0 {
			return c
		}
		return a.Prefix.Bits() - b.Prefix.Bits()
	})
	book := &addressBook{all: all, local: map[netip.Addr][]int{}, broadcasts: map[netip.Addr]struct{}{}}
	for _, a := range all {
		if !a.Tentative && !slices.Contains(book.local[a.IP], a.Interface) {
			book.local[a.IP] = append(book.local[a.IP], a.Interface)
		}
		if !a.IP.Is4() {
			continue
		}
		if d := devices[a.Interface]; d != nil && d.Type == TypeLoopback {
			book.loopback = append(book.loopback, a.Prefix)
		}
		// What net/ipv4/fib_frontend.c, fib_add_ifaddr, makes broadcast routes of.
		if a.Broadcast.IsValid() {
			book.broadcasts[a.Broadcast] = struct{}{}
		}
		if bits := a.Prefix.Bits(); bits < 31 {
			book.broadcasts[lastAddress(a.Prefix)] = struct{}{}
		}
	}
	return book
}

// lastAddress is the address of an IPv4 network with all host bits set.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

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

// IsLocal reports whether the address is one of this host that can be used now; all of 127.0.0.0/8 is. The zone of an IPv6
// address, when there is one, must be the interface.
func (t *Table) IsLocal(ip netip.Addr) bool {
	s := t.snap.Load()
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

func (s *snapshot) isBroadcast(ip netip.Addr) bool {
	if ip == limitedBroadcast {
		return true
	}
	_, ok := s.addresses.broadcasts[ip]
	return ok
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func (s *snapshot) addressDevice(ip netip.Addr) (ifindex int, ok bool) {
	ip = ip.Unmap()
	zone := ip.Zone()
	list := s.addresses.local[ip.WithZone("")]
	if zone == "" {
		if len(list) == 0 {
			return 0, false
		}
		return list[0], true
	}
	index := s.zoneIndex(zone)
	return index, index != 0 && slices.Contains(list, index)
}

// vrf is the VRF that the device belongs to or is, 0 for none. What comes in through a port of a bridge, bond or team belongs to
// the VRF of that.
func (s *snapshot) vrf(index int) int {
	for range maxStack {
		d := s.devices[index]
		if d == nil || d.Kind == kindVRF {
			break
		}
		index = d.Master
	}
	if s.devices[index] == nil {
		return 0
	}
	return index
}

func (s *snapshot) inLoopbackNet(ip netip.Addr) bool {
	ip = ip.Unmap()
	return slices.ContainsFunc(s.addresses.loopback, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// zoneIndex reads a zone: an interface index in decimal, or a name. 0 when there is no such interface.
func (s *snapshot) zoneIndex(zone string) int {
	if index, ok := s.names[zone]; ok {
		return index
	}
	index, err := strconv.ParseUint(zone, 10, 31)
	if err != nil {
		return 0
	}
	return int(index)
}
