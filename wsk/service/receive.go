// SPDX-License-Identifier: Apache-2.0

package service

import (
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// furnishInbox tells the inbox of a new socket what it needs.
func (k *socket) furnishInbox() {
	n := k.session
	b := &k.inbox
	b.Socket, b.Largest, b.Conn, b.Quota, b.Go = k.id, n.largest, n.conn, k.quota, n.server.goRun
	b.Accepts = k.mayReceive
}

// Receive implements wsk.Receiver.
func (k *socket) Receive(list *wsk.Datagram) {
	if k.session.features&ipc.FeatureReceive != 0 {
		k.inbox.Receive(list)
		return
	}
	for d := list; d != nil; {
		next := d.Next
		d.Release()
		d = next
	}
}

// mayReceive asks the policy about a datagram.
func (k *socket) mayReceive(d *wsk.Datagram) bool {
	host := &k.session.server.host
	g := k.session.granted.Load()
	if status, _ := k.refusal(); status != wsk.STATUS_SUCCESS {
		return false
	}
	place := host.place(g.policy, d.IfIndex)
	if d.Cast == wsk.Multicast && g.grant.Join(d.Destination, place) != ipc.ReasonNone {
		return false // it was on its way when a reload ended the membership, or others have joined the group
	}
	return g.grant.Receives(d.Source.Addr, d.Source.Port, place, host.isLocal(&d.Source.Addr))
}

// needs says that a request is of a feature that the session has.
func (n *session) needs(f ipc.Features, h ipc.Header, rule string) error {
	if n.features&f == 0 {
		return violation(ipc.ReasonState, h.Type, rule)
	}
	return nil
}

// credit is CREDIT.
func (n *session) credit(h ipc.Header, body []byte) error {
	var m ipc.Credit
	if err := m.Decode(body); err != nil {
		return err
	}
	if err := n.needs(ipc.FeatureReceive, h, "CREDIT needs the feature receive"); err != nil {
		return err
	}
	k, err := n.socket(h)
	if err != nil {
		return err
	}
	if !k.inbox.AddCredit(int(m.Messages)) {
		return violation(ipc.ReasonState, h.Type, "at most 1024 messages are asked for")
	}
	return nil
}

// configure is CONFIGURE.
func (k *socket) configure(h ipc.Header, body []byte) error {
	var m ipc.Configure
	if err := m.Decode(body); err != nil {
		return err
	}
	n := k.session
	if m.Errors {
		if err := n.needs(ipc.FeatureErrors, h, "ICMP errors need the feature errors"); err != nil {
			return err
		}
	}
	if m.MaxCoalesced != 0 {
		if err := n.needs(ipc.FeatureCoalesced, h, "several datagrams in one need the feature coalesced"); err != nil {
			return err
		}
	}
	ep, ok := k.ep.(wsk.ReceivingEndpoint)
	if !ok {
		n.reply(h, wsk.STATUS_NOT_SUPPORTED, nil)
		return nil
	}
	k.inbox.SetLimit(m.BufferBytes)
	ep.Configure(wsk.ReceiveOptions{Errors: m.Errors, MaxCoalesced: m.MaxCoalesced, BufferBytes: m.BufferBytes})
	n.reply(h, wsk.STATUS_SUCCESS, nil)
	return nil
}

// change is MEMBERSHIP. Leaving is always allowed.
func (k *socket) change(h ipc.Header, body []byte) error {
	var m ipc.Membership
	if err := m.Decode(body); err != nil {
		return err
	}
	n := k.session
	if err := n.needs(ipc.FeatureMulticast, h, "MEMBERSHIP needs the feature multicast"); err != nil {
		return err
	}
	ep, ok := k.ep.(wsk.ReceivingEndpoint)
	if !ok {
		n.reply(h, wsk.STATUS_NOT_SUPPORTED, nil)
		return nil
	}
	status, reason := k.changeGroup(ep, &m)
	n.answer(h, status, reason, "", nil)
	return nil
}

// changeGroup finds the interface of a change and makes it, if it may be made.
func (k *socket) changeGroup(ep wsk.ReceivingEndpoint, m *ipc.Membership) (status wsk.NTSTATUS, reason ipc.Reason) {
	if ipaddr.Load(&m.Local).IsUnspecified() {
		m.Local = [16]byte{}
	} else {
		m.IfIndex = 0 // the address names the interface
	}
	k.groups.mu.Lock()
	defer k.groups.mu.Unlock()
	index := m.IfIndex
	switch {
	case m.Change == ipc.JoinGroup, m.Change == ipc.JoinSource:
		if status, reason = k.refusal(); status != wsk.STATUS_SUCCESS {
			return status, reason
		}
		if index, reason = k.mayJoin(m); reason != ipc.ReasonNone {
			return wsk.STATUS_ACCESS_DENIED, reason
		}
	case m.Local != [16]byte{}:
		if index = k.session.server.host.interfaceOf(m.Local); index == 0 {
			return wsk.STATUS_INVALID_ADDRESS_COMPONENT, ipc.ReasonAddressNotLocal
		}
	case index == 0: // what was joined by the route is left without it: it may lead elsewhere by then
		if index = k.groups.find(m.Group); index == 0 {
			return wsk.STATUS_NOT_FOUND, ipc.ReasonNone
		}
	}
	return k.groups.change(ep, k.quota, wsk.Membership{
		Change: wsk.MembershipChange(m.Change), Group: m.Group, Source: m.Source, IfIndex: index,
	})
}

// leaveGone ends the memberships on interfaces that there are no more, so that they do not count.
func (k *socket) leaveGone() {
	if k.borrow() {
		k.leave(func(on groupKey) bool { return k.session.server.host.exists(on.index) })
		k.giveBack()
	}
}

// leave ends the memberships that do not stay. The caller has borrowed the endpoint.
func (k *socket) leave(stays func(groupKey) bool) {
	if ep, ok := k.ep.(wsk.ReceivingEndpoint); ok {
		k.groups.mu.Lock()
		k.groups.leave(ep, k.quota, stays)
		k.groups.mu.Unlock()
	}
}

// mayJoin asks the policy about a group, and answers with the interface that it was asked about, which is the one to
// join on: what an address or the route names may be another one a moment later.
func (k *socket) mayJoin(m *ipc.Membership) (index uint32, reason ipc.Reason) {
	host := &k.session.server.host
	g := k.session.granted.Load()
	switch index = m.IfIndex; {
	case m.Local != [16]byte{}:
		index = host.interfaceOf(m.Local)
	case index == 0:
		if a, status := host.sourceFor(wsk.Address{Addr: m.Group}); status == wsk.STATUS_SUCCESS {
			if index = a.Scope; index == 0 {
				index = host.interfaceOf(a.Addr)
			}
		}
	}
	return index, g.grant.Join(m.Group, host.place(g.policy, index))
}
