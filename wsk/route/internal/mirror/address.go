// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// addresses are the addresses of the host.
type addresses struct {
	// ordered are the addresses of each device as a dump had them: IPv4 chooses a source by their order, which no event
	// tells.
	ordered map[int][]address
	own     ownSet
	// counted are the IPv4 addresses of each device as the events have left them, which may be behind the dump: when
	// the last one goes the kernel takes all IPv4 routes of the device with it.
	counted map[int]map[addressKey]struct{}
	// formerly are IPv4 addresses that the host has or had: a gateway that was its own when a route was made doesn't
	// count.
	formerly map[netip.Addr]struct{}
}

type addressKey struct {
	ip     netip.Addr
	prefix netip.Prefix
}

func newAddresses() addresses {
	return addresses{
		ordered: map[int][]address{}, own: newOwnSet(), counted: map[int]map[addressKey]struct{}{},
		formerly: map[netip.Addr]struct{}{},
	}
}

// formerlyLimit bounds what is remembered of addresses that have gone.
const formerlyLimit = 1 << 16

// list takes a dump.
func (s *addresses) list(all []address) {
	clear(s.ordered)
	s.own = newOwnSet() // snapshots have the old one
	if len(s.formerly) > formerlyLimit {
		clear(s.formerly)
	}
	for _, a := range all {
		s.ordered[a.device] = append(s.ordered[a.device], a)
		s.own.add(a.ip)
		if a.ip.Is4() {
			s.formerly[a.ip] = struct{}{}
		}
	}
}

// recount makes what the dump had the place where the events begin.
func (s *addresses) recount() {
	clear(s.counted)
	for _, list := range s.ordered {
		for _, a := range list {
			s.event(a, true)
		}
	}
}

// has reports whether nothing of an address that is announced is new, neither to the dump nor to the events.
func (s *addresses) has(a address) bool {
	if _, counted := s.counted[a.device][addressKey{a.ip, a.prefix}]; a.ip.Is4() && !counted {
		return false
	}
	return slices.Contains(s.ordered[a.device], a)
}

// event takes a change; none is true when the device has no IPv4 address any more.
func (s *addresses) event(a address, added bool) (none bool) {
	if !a.ip.Is4() {
		return false
	}
	of, k := s.counted[a.device], addressKey{a.ip, a.prefix}
	if added {
		if of == nil {
			of = map[addressKey]struct{}{}
			s.counted[a.device] = of
		}
		of[k] = struct{}{}
		s.formerly[a.ip] = struct{}{}
		return false
	}
	delete(of, k)
	return len(of) == 0
}

// select4 is net/ipv4/devinet.c, inet_select_addr: the source for a route of a scope by a device, to a gateway (or
// invalid). sure is false when it depends on an order that is not known.
func (s *addresses) select4(device int, gateway netip.Addr, scope uint8) (ip netip.Addr, sure bool) {
	for _, a := range s.ordered[device] {
		if !a.ip.Is4() || a.flags&unix.IFA_F_SECONDARY != 0 {
			continue
		}
		if a.scope >= unix.RT_SCOPE_HOST {
			return netip.Addr{}, false // route_localnet would tell
		}
		if a.scope > scope {
			continue
		}
		if !gateway.IsValid() || a.prefix.Contains(gateway) {
			return a.ip, true
		}
		if !ip.IsValid() {
			ip = a.ip
		}
	}
	if ip.IsValid() {
		return ip, true
	}
	from := 0
	for other, list := range s.ordered {
		if other == device {
			continue
		}
		for _, a := range list {
			if !a.ip.Is4() || a.flags&unix.IFA_F_SECONDARY != 0 || a.scope == unix.RT_SCOPE_LINK || a.scope > scope {
				continue
			}
			if from != 0 && from != other {
				return netip.Addr{}, false // the first device in the kernel's list
			}
			if from == 0 {
				from, ip = other, a.ip
			}
		}
	}
	return ip, ip.IsValid()
}

// select6 is the one address that RFC 6724 can only choose on a device (net/ipv6/addrconf.c, ipv6_dev_get_saddr): for
// destinations of link-local or of global scope. Invalid: there is none or a choice.
func (s *addresses) select6(device int, linkLocal bool) (ip netip.Addr) {
	for _, a := range s.ordered[device] {
		if !a.ip.Is6() || a.ip.IsLinkLocalUnicast() != linkLocal || !linkLocal && !globalScope(a.ip) {
			continue
		}
		if a.flags&unix.IFA_F_DADFAILED != 0 {
			continue
		}
		// That a tentative one has become usable may be announced late.
		if a.flags&(unix.IFA_F_OPTIMISTIC|unix.IFA_F_TENTATIVE) != 0 {
			return netip.Addr{}
		}
		if a.flags&unix.IFA_F_DEPRECATED != 0 || ip.IsValid() {
			return netip.Addr{}
		}
		ip = a.ip
	}
	return ip
}
