// SPDX-License-Identifier: Apache-2.0

package service

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// Admit implements wsk.FlowGuard: the policy decides.
func (k *socket) Admit(to *wsk.Destination, way wsk.Way) wsk.NTSTATUS {
	host := &k.session.server.host
	g := k.session.granted.Load()
	f := policy.Flow{
		Destination: to.Addr, Source: way.Source, Port: to.Port, TTL: to.TTL, TOS: to.TOS,
		Kind: policy.Kind(way.Kind), Interface: host.place(g.policy, way.IfIndex),
		OfInterface: host.isOf(&way.Source, way.IfIndex) || ipaddr.Load(&way.Source).IsLinkLocal6(), // which is there on every interface
	}
	reason := g.grant.Admit(&f)
	if k.session.revoked.Load() {
		reason = ipc.ReasonRevoked
	}
	if reason == ipc.ReasonNone {
		return wsk.STATUS_SUCCESS
	}
	k.denials.add(to, reason)
	return wsk.STATUS_ACCESS_DENIED
}

// The kinds of package policy are those of wsk by number.
const (
	_ = uint8(policy.Unicast) - uint8(wsk.WayUnicast) + uint8(policy.Broadcast) - uint8(wsk.WayBroadcast)
	_ = uint8(policy.Multicast) - uint8(wsk.WayMulticast) + uint8(policy.Local) - uint8(wsk.WayLocal)
)

// mayBind asks the policy about a socket.
func (n *session) mayBind(g *granted, m *ipc.Open) ipc.Reason {
	return g.grant.Bind(&policy.Bind{
		Local: m.Local.Addr, Port: m.Local.Port, Reuse: m.Flags&(ipc.OpenReuse|ipc.OpenShare) != 0,
		Interface: n.server.bindPlace(g, &m.Local),
	})
}

// moveTo has the socket use up another grant from now on, with what it uses already.
func (k *socket) moveTo(g *granted) {
	k.member.MoveTo(k.session.server.grants.turnsAt(g.quota, k.pump))
	k.quota.Move(g.quota.Grant)
}

// mayStay asks the policy about an address that the socket has.
func (k *socket) mayStay(g *granted, local netip.AddrPort) ipc.Reason {
	return k.session.mayBind(g, &ipc.Open{Family: k.family, Flags: k.flags, Local: wireAddress(local)})
}

// regrant ends a socket whose address the grant does not have, and memberships that it does not have. A socket that is
// opening sees to its address itself.
func (k *socket) regrant(g *granted) {
	k.moveTo(g)
	if !k.borrow() {
		return
	}
	defer k.giveBack()
	switch {
	case k.revoked.Load():
	case k.mayStay(g, k.local) == ipc.ReasonNone: // the address of an open socket is not written any more
		k.member.Ready() // what was over the rate may go now
		k.pump.Wake()
	default:
		k.die(ipc.ReasonRevoked)
		k.revoked.Store(true)
		k.abort()
	}
	host := &k.session.server.host
	k.leave(func(on groupKey) bool {
		return !k.revoked.Load() && g.grant.Join(on.group, host.place(g.policy, on.index)) == ipc.ReasonNone
	})
}

// borrow keeps the endpoint of an open socket from being closed until giveBack. It reports false where it may have been.
func (k *socket) borrow() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state != isOpen {
		return false
	}
	k.loans++
	return true
}

func (k *socket) giveBack() {
	k.mu.Lock()
	k.loans--
	k.mu.Unlock()
	k.settle()
}

// bindPlace is the interface that an address to bind belongs to.
func (s *Server) bindPlace(g *granted, a *ipc.Address) int {
	addr := netip.AddrFrom16(a.Addr).Unmap()
	if addr.IsUnspecified() {
		return policy.NoInterface
	}
	index := a.Scope
	if index == 0 {
		index = s.host.interfaceOf(a.Addr)
	}
	return s.host.place(g.policy, index)
}

// refusal is what a socket answers that may not send any more, STATUS_SUCCESS while it may.
func (k *socket) refusal() (wsk.NTSTATUS, ipc.Reason) {
	if k.revoked.Load() || k.session.revoked.Load() {
		return wsk.STATUS_FILE_FORCED_CLOSED, ipc.ReasonRevoked
	}
	return wsk.STATUS_SUCCESS, ipc.ReasonNone
}
