// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"fmt"
	"net/netip"
	"os"
)

// Query asks for the way to a destination, as the UDP socket would that has these properties. It is comparable. What is left
// out is what a socket has that never set it.
type Query struct {
	// Dst is the destination. A v4-mapped address means the IPv4 one. A zone is an interface, by index or by name.
	Dst netip.Addr
	// Src is the wanted source address; invalid or unspecified: the kernel chooses. The zone of a link-local address is
	// the interface that its socket is bound to.
	Src netip.Addr
	// SrcPort and DstPort are the ports, for rules and multipath routes that look at them.
	SrcPort, DstPort uint16
	// Interface is the index of the wanted outgoing interface (IP_PKTINFO, IP_MULTICAST_IF, IP_UNICAST_IF); 0: the kernel
	// chooses.
	Interface int
	// Bound is the index of the interface that the socket is bound to: by SO_BINDTODEVICE, by being made in a VRF (`ip vrf
	// exec`), or by the scope of a bound link-local address; 0: none. Interface goes before it for IPv4. For IPv6 the two must
	// be the same, or Bound the VRF of Interface; otherwise the error is ErrScope.
	Bound int
	// TOS is the TOS or traffic class octet. The two ECN bits never decide a route.
	TOS uint8
	// Mark is the firewall mark (SO_MARK) that policy rules look at.
	Mark uint32
	// Owner is the user of the socket, for rules with a range of uids.
	Owner Owner
}

// Owner is the user that a socket belongs to. The zero value is the user of this process.
type Owner struct {
	uid     uint32
	another bool
}

// OwnerUID is the user with this uid, as this process's user namespace numbers it.
func OwnerUID(uid uint32) Owner { return Owner{uid, true} }

// UID is the user's number.
func (o Owner) UID() uint32 {
	if !o.another {
		return uint32(os.Geteuid()) // a socket takes the fsuid, which follows the euid
	}
	return o.uid
}

// question brings a query into its one form, or says why nothing has to be asked.
func (t *Table) question(s *snapshot, in Query) (question, error) {
	q := question{dst: in.Dst.Unmap(), src: in.Src.Unmap(), mark: in.Mark}
	if !q.dst.IsValid() || q.dst.IsUnspecified() {
		return q, fmt.Errorf("route to %v: %w", q.dst, ErrNoRoute)
	}
	if q.src.IsUnspecified() {
		q.src = netip.Addr{}
	}
	if q.src.IsValid() && q.src.Is4() != q.dst.Is4() {
		return q, fmt.Errorf("route to %v from %v: %w: other address family", q.dst, q.src, ErrSource)
	}
	if in.Interface < 0 || in.Bound < 0 {
		return q, fmt.Errorf("route to %v by interface %d: %w", q.dst, min(in.Interface, in.Bound), ErrNoDevice)
	}
	if err := t.chooseInterface(s, &q, in); err != nil {
		return q, err
	}
	q.tos = in.TOS & tosMask(q.dst.Is4())
	looks := s.rules.of(q.dst)
	if looks.ports || t.sysctls.hashesPorts(q.dst) {
		q.sport, q.dport = in.SrcPort, in.DstPort
	}
	if looks.users {
		q.uid, q.asUser = in.Owner.UID(), true
	}
	return q, nil
}

// chooseInterface finds the interface that the kernel's socket would ask for (net/ipv4/udp.c, udp_sendmsg;
// net/ipv6/udp.c, udpv6_sendmsg, and net/ipv6/datagram.c, ip6_datagram_send_ctl), and takes the zones off.
func (t *Table) chooseInterface(s *snapshot, q *question, in Query) error {
	scope, err := t.zone(s, &q.dst, q.dst)
	if err != nil {
		return err
	}
	bound, err := t.zone(s, &q.src, q.dst)
	if err != nil {
		return err
	}
	if in.Bound != 0 {
		bound = in.Bound
	}
	if q.dst.Is4() {
		if q.oif = in.Interface; q.oif == 0 {
			q.oif = bound
		}
		return nil
	}
	if q.oif = scope; q.oif == 0 {
		q.oif = bound
	}
	if in.Interface != 0 && q.oif != in.Interface {
		if q.oif != 0 && s.vrf(in.Interface) != q.oif {
			return fmt.Errorf("route to %v from %v by interfaces %d and %d: %w", q.dst, q.src, q.oif, in.Interface, ErrScope)
		}
		q.oif = in.Interface
	}
	if q.dst.IsLinkLocalUnicast() && q.oif == 0 {
		return fmt.Errorf("route to %v: %w", q.dst, ErrScope)
	}
	// Without a source the kernel is strict in any case.
	q.strict = bound != 0 && bound == q.oif && q.src.IsValid()
	return nil
}

// zone takes the zone off *ip and returns its interface, 0 for none.
func (t *Table) zone(s *snapshot, ip *netip.Addr, dst netip.Addr) (int, error) {
	zone := ip.Zone()
	if zone == "" {
		return 0, nil
	}
	index := s.zoneIndex(zone)
	if index == 0 {
		index = t.alternative(zone)
	}
	if index == 0 {
		return 0, fmt.Errorf("route to %v: zone %q: %w", dst, zone, ErrNoDevice)
	}
	*ip = ip.WithZone("")
	return index, nil
}
