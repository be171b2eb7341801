// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

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
	// Gateway is the next hop, without zone: the address to give to Neighbour. It is the destination itself when
	// OnLink, and can be of the other family (an IPv4 route over an IPv6 next hop, RFC 5549).
	Gateway netip.Addr
	OnLink  bool
	// Source is the source address to use: Query.Src when that was given. When the host has none, it is 0.0.0.0 for
	// IPv4, as the kernel sends then, and invalid for IPv6, where the kernel refuses (EADDRNOTAVAIL).
	Source netip.Addr
	// MTU is the largest IP packet for this path in bytes: the smallest of the device's MTU, the route's metric and
	// what was learned from ICMP.
	MTU int
	// Encap is set when the route encapsulates (MPLS, SRv6, …): only the kernel can send there.
	Encap bool
}

// Resolve asks which way a datagram goes. The answer is the kernel's, or a cached one of this generation that is not
// older than Options.CacheTTL. The errors are ErrNoRoute, ErrSource, ErrNoDevice, ErrScope, ErrClosed or the context's;
// all say which query and what the kernel said. It takes a few microseconds in the kernel and doesn't wait for the
// network.
func (t *Table) Resolve(ctx context.Context, in Query) (Hop, error) { return t.resolve(ctx, in, nil) }

func (t *Table) resolve(ctx context.Context, in Query, on *Standing) (Hop, error) {
	if err := ctx.Err(); err != nil {
		return Hop{}, err
	}
	// The generation is read before everything else: an answer from before a change must not be kept after it.
	gen := t.gen.Load()
	if on != nil {
		on.hop, on.generation, on.causes = nil, gen, t.causes.Load()
		now := t.mirrorGen.Load()
		on.seen.Store(now)
		on.aside.Store(now)
	}
	begun := t.cache.revalidations.Load()
	s := t.snap.Load()
	q, err := t.question(s, in)
	if err != nil {
		return Hop{}, err
	}
	if hop, ok := t.mirrored(s, q, in, on); ok {
		return t.describe(hop, q.dst.Is6())
	}
	hop, ok := t.cache.lookup(q, gen, t.opts.CacheTTL)
	if !ok {
		if t.closed() {
			return Hop{}, ErrClosed
		}
		if t.sysctls.refresh() {
			t.bump() // the question may be another one now
			return t.resolve(ctx, in, on)
		}
		if hop, err = t.ask(q, t.asker); err != nil {
			return Hop{}, err
		}
		if t.cache.store(q, hop, gen, begun) {
			// Others hold the older answer; nothing announced the difference (a path MTU was learned or has expired).
			// Or this one is the older, and a revalidation has passed it by.
			t.gen.Add(1)
		}
	}
	return t.describe(hop, q.dst.Is6())
}

// Flush tells the table that something about the path to dst was learned that no netlink event announces, as the path
// MTU from an ICMP message. What was answered about dst before is asked again; the generation grows if the answers
// differ.
func (t *Table) Flush(dst netip.Addr) {
	if t.closed() {
		return
	}
	dst = dst.Unmap().WithZone("")
	if t.mirror != nil && t.mirror.Distrust(dst) {
		t.mirrorGen.Add(1)
	}
	t.revalidate(dst, t.asker)
}

// ask puts a question to the kernel. The hop has no Device yet.
func (t *Table) ask(q question, r *requester) (Hop, error) {
	if err := t.checkInterface(q, r); err != nil {
		return Hop{}, err
	}
	if err := t.checkSource(q, r); err != nil {
		return Hop{}, err
	}
	a, err := t.askRoute(q, r)
	if err != nil && q.dst.Is6() && !q.src.IsValid() {
		// With routes or rules that want a source first (default from PREFIX), the kernel's socket chooses among all
		// its addresses and asks again (net/ipv6/ip6_output.c, ip6_dst_lookup_tail).
		if source, otherwise := t.oracle.source(q); otherwise == nil {
			q.src, q.strict = source, q.oif != 0
			a, err = t.askRoute(q, r)
		}
	}
	if err != nil {
		return Hop{}, t.routeError(q, err)
	}
	if a.index == 0 {
		return Hop{}, fmt.Errorf("%v: the kernel named no interface: %w", q, ErrNoRoute)
	}
	return q.hop(a), nil
}

// askRoute asks once, or twice where the kernel's socket is stricter than its RTM_GETROUTE: bound to an interface it
// takes no route by another, source address or not (net/ipv6/route.c, ip6_route_output_flags_noref).
func (t *Table) askRoute(q question, r *requester) (answer, error) {
	a, err := r.route(q)
	if q.strict && err == nil && a.index != q.oif && t.snap.Load().vrf(a.index) != q.oif && a.typ != unix.RTN_LOCAL {
		anySource := q
		anySource.src = netip.Addr{}
		a, err = r.route(anySource)
	}
	if err == nil {
		err = routeTypeError(a.typ)
	}
	return a, err
}

// hop is what an answer means.
func (q question) hop(a answer) Hop {
	hop := Hop{Interface: a.index, Gateway: a.gateway, Source: a.source, MTU: a.mtu, Encap: a.encap}
	switch {
	case a.typ == unix.RTN_LOCAL || a.typ == unix.RTN_ANYCAST:
		hop.Kind = Local
	case q.dst.IsMulticast():
		hop.Kind = Multicast
	case a.typ == unix.RTN_BROADCAST || q.dst == limitedBroadcast:
		hop.Kind = Broadcast
	default:
		hop.Kind = Unicast
	}
	// Only unicast goes by way of a gateway; a multicast route that names one doesn't mean it.
	if hop.Kind != Unicast || !hop.Gateway.IsValid() {
		hop.Gateway, hop.OnLink = q.dst, true
	}
	switch {
	case q.src.IsValid():
		hop.Source = q.src
	case !hop.Source.IsValid() && q.dst.Is4():
		hop.Source = netip.IPv4Unspecified() // a host without address sends so (DHCP)
	}
	return hop
}

// describe fills in the device, which is always the current one, and what follows from it. six is the family of the datagrams, whatever
// that of the gateway.
func (t *Table) describe(hop Hop, six bool) (Hop, error) {
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
	if six && d.MTU6 != 0 {
		limit = min(limit, d.MTU6)
	}
	if hop.MTU == 0 || hop.MTU > limit {
		hop.MTU = limit
	}
	return hop, nil
}
