// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

type neighbourAddr = netip.Addr

// resolve finds the way of a flow and then sends or fails everything that waits for it. It runs on a
// goroutine of its own, because a neighbour may take seconds to answer and must not hold up another flow.
func (f *Flow) resolve() {
	for {
		withdrawn := f.withdrawn.Load()
		p, err := f.lookup()
		if err != nil {
			f.path.Store(nil)
			f.src.Host.Stats.ResolveFailed.Add(1)
			f.src.Host.Log.Debug("no way to destination", "to", f.to.IP(), "err", err)
			f.failAll(f.resolveStatus(err))
			return
		}
		f.follow(p.queue)
		f.path.Store(p)
		if f.withdrawn.Load() != withdrawn {
			continue
		}
		if p.queue != nil {
			f.catchUp(p)
		}
		if f.passOn(p) {
			return
		}
	}
}

// failAll ends what waits and what arrives until the list is seen empty.
func (f *Flow) failAll(status wsk.NTSTATUS) {
	for {
		f.fail(status)
		f.mu.Lock()
		if f.waiting.Head == nil {
			f.resolving = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
	}
}

// prefetch resolves in the background when nobody waits.
func (f *Flow) prefetch() {
	f.mu.Lock()
	start := !f.resolving
	f.resolving = true
	f.mu.Unlock()
	if start {
		f.src.Host.GoRun(f.resolve)
	}
}

var (
	errBroadcastDenied = errors.New("destination is a broadcast address and SO_BROADCAST is off")
	errFamily          = errors.New("the bound address is of the other family")
)

// resolveStatus is the status in which an operation ends that has no way (wsk.md §2.6 rows 12 and 15 to 17).
func (f *Flow) resolveStatus(err error) wsk.NTSTATUS {
	switch {
	case errors.Is(err, route.ErrNoDevice) && !errors.Is(err, route.ErrScope) && f.to.IfIndex == 0, f.src.dead.Load():
		// Nobody asked for an interface: the one that the kernel had chosen was deleted meanwhile.
		return wsk.STATUS_FILE_FORCED_CLOSED
	case errors.Is(err, errBroadcastDenied), errors.Is(err, route.ErrProhibited):
		return wsk.STATUS_ACCESS_DENIED
	case errors.Is(err, route.ErrBlackhole):
		return wsk.STATUS_INVALID_PARAMETER
	case errors.Is(err, route.ErrSource), errors.Is(err, route.ErrNoDevice), errors.Is(err, route.ErrScope),
		errors.Is(err, errFamily), errors.Is(err, frame.ErrInvalidFlow):
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	case errors.Is(err, route.ErrUnreachable), errors.Is(err, route.ErrHostUnreachable):
		return wsk.STATUS_HOST_UNREACHABLE
	case errors.Is(err, route.ErrNeighbourTableFull), errors.Is(err, route.ErrTooManyWaiting):
		return wsk.STATUS_INSUFFICIENT_RESOURCES
	case errors.Is(err, context.Canceled):
		return wsk.STATUS_CANCELLED
	default:
		return wsk.STATUS_NETWORK_UNREACHABLE
	}
}

// source is the address that the socket or the call prescribes; the zero Addr leaves the choice to the route.
func (f *Flow) source() (netip.Addr, error) {
	if a := f.to.SourceIP(); a.IsValid() {
		return a, nil
	}
	a := f.src.Local.Addr().Unmap().WithZone("")
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, nil
	}
	if a.Is4() != f.to.Is4() {
		return netip.Addr{}, errFamily
	}
	return a, nil
}

// lookup asks the routing table and the neighbour table for the way of the flow as it is now.
func (f *Flow) lookup() (*Path, error) {
	host := f.src.Host
	ctx := host.Ctx
	generation := host.Routes.Generation()
	source, err := f.source()
	if err != nil {
		return nil, err
	}
	dst := f.to.IP()
	query := route.Query{
		Dst: dst, Src: source, SrcPort: f.src.Local.Port(), DstPort: f.to.Port, Interface: int(f.to.IfIndex), TOS: f.to.TOS,
	}
	hop, err := host.Routes.Resolve(ctx, query)
	if err != nil {
		return nil, err
	}
	if hop.Kind == route.Broadcast && f.to.Flags&wsk.AllowBroadcast == 0 {
		return nil, errBroadcastDenied
	}
	if !source.IsValid() {
		source = hop.Source
	}
	p := &Path{generation: generation, resolved: time.Now()}
	p.mtu = hop.MTU
	p.refuse = f.to.Fragment == wsk.IP_PMTUDISC_DO || f.to.Fragment == wsk.IP_PMTUDISC_PROBE
	if f.to.Fragment == wsk.IP_PMTUDISC_PROBE {
		p.mtu = hop.Device.MTU
	}
	if p.looped = f.isLooped(hop); hop.Kind == route.Multicast {
		p.groupIf = hop.Interface
	}
	if p.looped {
		return p.slow(f, slowLooped), nil
	}
	if hop.Kind == route.Local {
		return p.slow(f, slowReason(route.ObstacleLocal)), nil
	}
	egress, obstacle := host.Routes.Transmit(hop, f.to.TOS)
	if obstacle.ID == route.NoObstacle {
		obstacle = host.Routes.Selected(query, hop)
	}
	if obstacle.ID != route.NoObstacle {
		host.Log.Debug("through the kernel's stack", "to", dst, "why", obstacle)
		return p.slowNextHop(ctx, f, hop, obstacle)
	}
	q, err := host.QueueFor(egress.Device, f.src.Serial)
	if err != nil {
		return p.slowNextHop(ctx, f, hop, obstacle)
	}
	mac, err := f.nextHop(ctx, hop)
	if err != nil {
		return nil, err
	}
	if hop.Kind == route.Unicast {
		p.neighbourIf, p.neighbour = hop.Interface, hop.Gateway
	}
	headers := f.headers(hop, egress.VLANs, source, frame.MAC(mac), p.refuse)
	if p.Template, err = frame.NewTemplate(headers); err != nil {
		return nil, err
	}
	p.header = p.Template.HeaderLen()
	p.room = p.Template.MaxPayload(p.mtu)
	if p.mtu+frame.EthernetLen+frame.MaxVLANTags*frame.VLANTagLen > q.capacity() {
		// A packet of this device does not fit a chunk: the kernel's own stack sends what AF_XDP here can't.
		return p.slow(f, slowMTU), nil
	}
	p.queue = q
	p.offerOffload(&headers, hop.Kind == route.Unicast)
	return p, nil
}

// headers are what all datagrams of the flow have in common.
func (f *Flow) headers(hop route.Hop, vlans []route.VLAN, source netip.Addr, to frame.MAC, df bool) frame.Flow {
	h := frame.Flow{
		SrcMAC: frame.MAC(hop.Device.MAC), DstMAC: to,
		Src: netip.AddrPortFrom(source, f.src.Local.Port()), Dst: netip.AddrPortFrom(f.to.IP().WithZone(""), f.to.Port),
		TTL: f.to.TTL, TOS: f.to.TOS, DF: df, NoChecksum: f.to.Flags&wsk.NoChecksum != 0,
	}
	for _, v := range vlans {
		h.VLANs = append(h.VLANs, frame.VLANTag{TPID: v.Proto, ID: v.ID, PCP: v.Priority})
	}
	if h.Dst.Addr().Is6() {
		h.FlowLabel = f.src.Host.Routes.FlowLabel(h.Src, h.Dst)
	}
	return h
}

// slow turns p into the way through the companion socket.
func (p *Path) slow(f *Flow, why slowReason) *Path {
	f.src.Host.Stats.SlowPaths[why].Add(1)
	p.queue = nil
	return p
}

// slowNextHop is slow once the neighbour has answered. The kernel would take the datagram at once and hold it, and with
// it send buffer of the companion socket, for the seconds in which the neighbour may answer: a few hundred neighbours that
// are silent would keep datagrams from all others.
func (p *Path) slowNextHop(ctx context.Context, f *Flow, hop route.Hop, o route.Obstacle) (*Path, error) {
	if asksNeighbour(hop, o) {
		if _, err := f.nextHop(ctx, hop); err != nil {
			return nil, err
		}
		p.neighbourIf, p.neighbour = hop.Interface, hop.Gateway
	}
	why := slowReason(o.ID)
	if o.ID == route.NoObstacle {
		why = slowNoQueue
	}
	return p.slow(f, why), nil
}

// asksNeighbour reports whether the kernel will send to the neighbour that the hop names, and may have to ask for it.
func asksNeighbour(hop route.Hop, o route.Obstacle) bool {
	switch o.ID {
	case route.NoObstacle, route.ObstacleKind, route.ObstacleElsewhere, route.ObstacleDepth, route.ObstacleTags,
		route.ObstacleVLANPriority, route.ObstacleBondMode, route.ObstacleBondQueue, route.ObstacleBondIdle,
		route.ObstaclePacketInfo:
		return hop.Kind == route.Unicast && hop.Device.Ethernet && !hop.Device.NoARP
	}
	return false
}

// nextHop is the link-layer address to send to.
func (f *Flow) nextHop(ctx context.Context, hop route.Hop) (frame.MAC, error) {
	switch hop.Kind {
	case route.Broadcast:
		return frame.BroadcastMAC(), nil
	case route.Multicast:
		mac, _ := frame.MulticastMAC(f.to.IP())
		return mac, nil
	}
	mac, err := f.src.Host.Routes.Neighbour(ctx, hop.Interface, hop.Gateway)
	return frame.MAC(mac), err
}

// isLooped reports whether the kernel would hand what is sent that way to sockets of this host too: a broadcast to
// all that listen, a group's datagram to those that have joined it on the interface. A frame of AF_XDP goes to the wire
// only, and a copy of it for the host would have to leave again to be looped; so the kernel gets the datagram, and sends
// and loops it with one TTL, in one order and past the same filters as any other program's.
func (f *Flow) isLooped(hop route.Hop) bool {
	switch hop.Kind {
	case route.Broadcast:
		return true
	case route.Multicast:
		return f.src.Host.HasMembers != nil && f.src.Host.HasMembers(hop.Interface, f.to.IP().WithZone(""))
	}
	return false
}
