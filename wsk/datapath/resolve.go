// SPDX-License-Identifier: Apache-2.0

package datapath

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
func (f *flow) resolve() {
	for {
		p, err := f.lookup()
		if err != nil {
			f.path.Store(nil)
			f.src.host.stats.resolveFailed.Add(1)
			f.src.host.log.Debug("no way to destination", "to", f.to.IP(), "err", err)
			f.failAll(f.resolveStatus(err))
			return
		}
		f.path.Store(p)
		if p.queue != nil {
			p.queue.catchUp(f, p)
		}
		if f.release(p) {
			return
		}
	}
}

// failAll ends what waits and what arrives until the list is seen empty.
func (f *flow) failAll(status wsk.NTSTATUS) {
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
func (f *flow) prefetch() {
	f.mu.Lock()
	start := !f.resolving
	f.resolving = true
	f.mu.Unlock()
	if start {
		f.src.host.GoRun(f.resolve)
	}
}

var (
	errBroadcastDenied = errors.New("destination is a broadcast address and SO_BROADCAST is off")
	errFamily          = errors.New("the bound address is of the other family")
)

// resolveStatus is the status in which an operation ends that has no way (wsk.md §2.6 rows 12 and 15 to 17).
func (f *flow) resolveStatus(err error) wsk.NTSTATUS {
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
	case errors.Is(err, context.Canceled):
		return wsk.STATUS_CANCELLED
	default:
		return wsk.STATUS_NETWORK_UNREACHABLE
	}
}

// source is the address that the socket or the call prescribes; the zero Addr leaves the choice to the route.
func (f *flow) source() (netip.Addr, error) {
	if a := f.to.SourceIP(); a.IsValid() {
		return a, nil
	}
	a := f.src.local.Addr().Unmap().WithZone("")
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, nil
	}
	if a.Is4() != f.to.Is4() {
		return netip.Addr{}, errFamily
	}
	return a, nil
}

// lookup asks the routing table and the neighbour table for the way of the flow as it is now.
func (f *flow) lookup() (*path, error) {
	host := f.src.host
	ctx := host.ctx
	generation := host.routes.Generation()
	source, err := f.source()
	if err != nil {
		return nil, err
	}
	dst := f.to.IP()
	hop, err := host.routes.Resolve(ctx, route.Query{
		Dst: dst, Src: source, SrcPort: f.src.local.Port(), DstPort: f.to.Port, Interface: int(f.to.IfIndex), TOS: f.to.TOS,
	})
	if err != nil {
		return nil, err
	}
	if hop.Kind == route.Broadcast && f.to.Flags&wsk.AllowBroadcast == 0 {
		return nil, errBroadcastDenied
	}
	if !source.IsValid() {
		source = hop.Source
	}
	p := &path{generation: generation, mtu: hop.MTU, resolved: time.Now()}
	p.refuse = f.to.Fragment == wsk.IP_PMTUDISC_DO || f.to.Fragment == wsk.IP_PMTUDISC_PROBE
	if f.to.Fragment == wsk.IP_PMTUDISC_PROBE {
		p.mtu = hop.Device.MTU
	}
	if hop.Kind == route.Local {
		return p.slow(f), nil
	}
	egress, obstacle := host.routes.Transmit(hop, f.to.TOS)
	if obstacle.ID != route.NoObstacle {
		host.log.Debug("through the kernel's stack", "to", dst, "why", obstacle)
		return p.slow(f), nil
	}
	q, err := host.queueFor(egress.Device, f.src.serial)
	if err != nil {
		return p.slow(f), nil
	}
	mac, err := f.nextHop(ctx, hop)
	if err != nil {
		return nil, err
	}
	if hop.Kind == route.Unicast {
		p.neighbourIf, p.neighbour = hop.Interface, hop.Gateway
	}
	tags := make([]frame.VLANTag, len(egress.VLANs))
	for i, v := range egress.VLANs {
		tags[i] = frame.VLANTag{TPID: v.Proto, ID: v.ID, PCP: v.Priority}
	}
	headers := frame.Flow{
		SrcMAC: frame.MAC(hop.Device.MAC), DstMAC: frame.MAC(mac), VLANs: tags,
		Src: netip.AddrPortFrom(source, f.src.local.Port()), Dst: netip.AddrPortFrom(dst.WithZone(""), f.to.Port),
		TTL: f.to.TTL, TOS: f.to.TOS, DF: p.refuse, NoChecksum: f.to.Flags&wsk.NoChecksum != 0,
	}
	if p.template, err = frame.NewTemplate(headers); err != nil {
		return nil, err
	}
	p.header = p.template.HeaderLen()
	p.room = p.template.MaxPayload(p.mtu)
	if p.mtu+frame.EthernetLen+frame.MaxVLANTags*frame.VLANTagLen > q.capacity() {
		// A packet of this device does not fit a chunk: the kernel's own stack sends what AF_XDP here can't.
		return p.slow(f), nil
	}
	p.queue = q
	q.offer(p, &headers, hop.Kind == route.Unicast)
	f.src.devices.add(egress.Device.Index)
	return p, nil
}

// slow turns p into the way through the companion socket.
func (p *path) slow(f *flow) *path {
	f.src.host.stats.slowPaths.Add(1)
	p.queue = nil
	return p
}

// nextHop is the link-layer address to send to.
func (f *flow) nextHop(ctx context.Context, hop route.Hop) (frame.MAC, error) {
	switch hop.Kind {
	case route.Broadcast:
		return frame.BroadcastMAC(), nil
	case route.Multicast:
		mac, _ := frame.MulticastMAC(f.to.IP())
		return mac, nil
	}
	mac, err := f.src.host.routes.Neighbour(ctx, hop.Interface, hop.Gateway)
	return frame.MAC(mac), err
}
