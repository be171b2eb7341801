// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Query asks for the way to a destination. It is comparable.
type Query struct {
	// Dst is the destination. A v4-mapped address means the IPv4 one. A zone is an interface, by index or by name.
	Dst netip.Addr
	// Src is the wanted source address; invalid or unspecified: the kernel chooses.
	Src netip.Addr
	// Interface is the index of the wanted outgoing interface; 0: the kernel chooses.
	Interface int
	// TOS is the TOS or traffic class octet. The two ECN bits never decide a route.
	TOS uint8
	// Mark is the firewall mark (SO_MARK) that policy rules look at.
	Mark uint32
}

// Kind is what sort of destination it is.
type Kind uint8

// The kinds of destinations.
const (
	Unicast   Kind = iota + 1
	Local          // an address of this host: deliver through the kernel
	Broadcast      // everybody on the link; no neighbour to resolve
	Multicast      // a group; no neighbour to resolve
)

var kindNames = [...]string{Unicast: "unicast", Local: "local", Broadcast: "broadcast", Multicast: "multicast"}

func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Hop is where a datagram leaves and to whom. It is a comparable value and stays the caller's.
type Hop struct {
	Kind      Kind
	Interface int    // index of the outgoing interface
	Device    Device // the same, described
	// Gateway is the next hop, without zone: the address to give to Neighbour. It is the destination itself when OnLink,
	// and can be of the other family (an IPv4 route over an IPv6 next hop, RFC 5549).
	Gateway netip.Addr
	OnLink  bool
	// Source is the source address to use: Query.Src when that was given. Invalid when the kernel has none, as for IPv6
	// without any address.
	Source netip.Addr
	// MTU is the largest IP packet for this path in bytes: the smallest of the device's MTU, the route's metric and what
	// was learned from ICMP.
	MTU int
	// Encap is set when the route encapsulates (MPLS, SRv6, …): only the kernel can send there.
	Encap bool
}

// Resolve asks which way a datagram goes. The answer is the kernel's, or a cached one of this generation that is not
// older than Options.CacheTTL. The errors are ErrNoRoute, ErrSource, ErrNoDevice, ErrScope, ErrClosed or the context's;
// all say which query and what the kernel said. It takes a few microseconds in the kernel and doesn't wait for the
// network.
func (t *Table) Resolve(ctx context.Context, q Query) (Hop, error) {
	if err := ctx.Err(); err != nil {
		return Hop{}, err
	}
	s := t.snap.Load()
	q, err := s.normalise(q)
	if err != nil {
		return Hop{}, err
	}
	// The generation is read before the kernel is asked: an answer from before a change must not be kept after it.
	gen := t.gen.Load()
	begun := t.cache.revalidations.Load()
	hop, ok := t.cache.lookup(q, gen, t.opts.CacheTTL)
	if !ok {
		if t.closed() {
			return Hop{}, ErrClosed
		}
		if hop, err = t.ask(q, t.asker); err != nil {
			return Hop{}, err
		}
		if t.cache.store(q, hop, gen, begun) {
			// Others hold the older answer; nothing announced the difference (a path MTU was learned or has expired). Or this
			// one is the older, and a revalidation has passed it by.
			t.gen.Add(1)
		}
	}
	return t.describe(hop)
}

// Flush tells the table that something about the path to dst was learned that no netlink event announces, as the path
// MTU from an ICMP message. What was answered about dst before is asked again; the generation grows if the answers
// differ.
func (t *Table) Flush(dst netip.Addr) {
	if !t.closed() {
		t.revalidate(dst.Unmap().WithZone(""), t.asker)
	}
}

// normalise brings a query into the one form that the cache and the kernel see.
func (s *snapshot) normalise(q Query) (Query, error) {
	q.Dst, q.Src, q.TOS = q.Dst.Unmap(), q.Src.Unmap(), q.TOS&0xfc
	if !q.Dst.IsValid() || q.Dst.IsUnspecified() {
		return q, fmt.Errorf("route to %v: %w", q.Dst, ErrNoRoute)
	}
	if q.Src.IsUnspecified() {
		q.Src = netip.Addr{}
	}
	if q.Src.IsValid() && q.Src.Is4() != q.Dst.Is4() {
		return q, fmt.Errorf("route to %v from %v: %w: other address family", q.Dst, q.Src, ErrSource)
	}
	if q.Interface < 0 {
		return q, fmt.Errorf("route to %v by interface %d: %w", q.Dst, q.Interface, ErrNoDevice)
	}
	for _, ip := range []*netip.Addr{&q.Dst, &q.Src} {
		zone := ip.Zone()
		if zone == "" {
			continue
		}
		index := s.zoneIndex(zone)
		if index == 0 {
			return q, fmt.Errorf("route to %v: zone %q: %w", q.Dst, zone, ErrNoDevice)
		}
		if q.Interface != 0 && q.Interface != index {
			return q, fmt.Errorf("route to %v from %v by interface %d: %w", q.Dst, q.Src, q.Interface, ErrScope)
		}
		q.Interface = index
		*ip = ip.WithZone("")
	}
	if q.Dst.Is6() && q.Dst.IsLinkLocalUnicast() && q.Interface == 0 {
		return q, fmt.Errorf("route to %v: %w", q.Dst, ErrScope)
	}
	return q, nil
}

// ask puts a normalised query to the kernel. The hop has no Device yet.
func (t *Table) ask(q Query, r *requester) (Hop, error) {
	if err := t.checkInterface(q, r); err != nil {
		return Hop{}, err
	}
	if err := t.checkSource(q, r); err != nil {
		return Hop{}, err
	}
	a, err := r.route(q)
	if err == nil {
		err = routeTypeError(a.typ)
	}
	if err != nil {
		return Hop{}, t.routeError(q, err)
	}
	if a.index == 0 {
		return Hop{}, fmt.Errorf("route to %v: the kernel named no interface: %w", q.Dst, ErrNoRoute)
	}
	hop := Hop{Interface: a.index, Gateway: a.gateway, Source: a.source, MTU: a.mtu, Encap: a.encap}
	switch {
	case a.typ == unix.RTN_LOCAL || a.typ == unix.RTN_ANYCAST:
		hop.Kind = Local
	case q.Dst.IsMulticast():
		hop.Kind = Multicast
	case a.typ == unix.RTN_BROADCAST || q.Dst == limitedBroadcast:
		hop.Kind = Broadcast
	default:
		hop.Kind = Unicast
	}
	// Only unicast goes by way of a gateway; a multicast route that names one doesn't mean it.
	if hop.Kind != Unicast || !hop.Gateway.IsValid() {
		hop.Gateway, hop.OnLink = q.Dst, true
	}
	if q.Src.IsValid() {
		hop.Source = q.Src
	}
	return hop, nil
}

// describe fills in the device, which is always the current one, and what follows from it.
func (t *Table) describe(hop Hop) (Hop, error) {
	d, ok := t.Device(hop.Interface)
	if !ok {
		// The kernel is ahead of its own announcement.
		var err error
		if d, err = t.asker.device(hop.Interface); err != nil {
			return Hop{}, fmt.Errorf("interface %d of the route: %w: %w", hop.Interface, ErrNoDevice, err)
		}
	}
	hop.Device = d
	limit := d.MTU
	if hop.Gateway.Is6() && d.MTU6 != 0 {
		limit = min(limit, d.MTU6)
	}
	if hop.MTU == 0 || hop.MTU > limit {
		hop.MTU = limit
	}
	return hop, nil
}
