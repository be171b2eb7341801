// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// snapshot is the table at one moment. Nothing in it changes after it was published; consecutive snapshots share what
// did not change.
type snapshot struct {
	devices   map[int]*Device
	stamps    stamps
	names     map[string]int
	addresses *addressBook
	// macs are the usable neighbours.
	macs  map[neighbourKey][6]byte
	rules rules
	// filters are the rp_filter settings that are not off, by device, and of all devices under netconfAll.
	filters map[int]ReversePath
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
			book.broadcasts[ipaddr.Last(a.Prefix)] = struct{}{}
		}
	}
	return book
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

// maxStack bounds the walk down a stack of devices, in case a snapshot taken during a change has a loop. The kernel's own
// limit on nesting is 8 (MAX_NEST_DEV).
const maxStack = 8

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
