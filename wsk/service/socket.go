// SPDX-License-Identifier: Apache-2.0

package service

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/inbox"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/quota"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/turns"
)

// socket is one socket of a client: an endpoint of the transport, the jobs that wait for it or are under way, and what
// has arrived for it. It is the EndpointEvents of its endpoint.
type socket struct {
	session *session
	quota   *quota.Share
	judged  *granted // what it was opened under, if nothing newer came meanwhile
	id      uint32
	family  uint16
	dual    bool
	flags   ipc.OpenFlags
	revoked atomic.Bool    // a reload has taken its address away
	local   netip.AddrPort // when open
	ep      wsk.Endpoint

	pump   *turns.Pump
	member *turns.Member
	hold   throttle
	frames atomic.Int64 // with the transport, to destinations that have been reached
	fresh  atomic.Int64 // and to others, which may wait for long and then come all at once

	targets targets // of the goroutine that reads; see there
	denials denials
	groups  groups
	inbox   inbox.Inbox
	ops     []*wsk.SendOp // of whoever has the pump

	mu       sync.Mutex
	state    socketState
	inBind   bool   // the call of Bind has not returned
	behind   func() // what is to follow when it has
	aborted  bool
	closing  ipc.Header // of the CLOSE that is to be answered; Seq 0: none
	died     ipc.Reason // why it can't send any more; the client is told behind the reply to OPEN
	ended    bool       // its abort is over, and nothing is queued any more
	shutting bool
	loans    int    // of the endpoint, to others than the reader, which closes
	jobs     []*job // with entries left, the oldest first
	queue    []*job // of them, those with entries to hand over
	free     []*job
	charged  int // bytes of jobs
	room     int // frames of either count that may be with the transport

	blocked atomic.Pointer[atomic.Int64] // the count of which as many are; nil: neither. mu is held to change it
}

type socketState uint8

const (
	opening socketState = iota
	isOpen
	closing
)

var (
	_ wsk.EndpointEvents = (*socket)(nil)
	_ wsk.FlowGuard      = (*socket)(nil)
	_ wsk.Receiver       = (*socket)(nil)
)

func (k *socket) isOpen() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state == isOpen
}

// open answers OPEN: it makes a socket and binds it.
func (n *session) openSocket(h ipc.Header, body []byte) error {
	var m ipc.Open
	if err := m.Decode(body); err != nil {
		return err
	}
	n.mu.Lock()
	_, taken := n.sockets[h.Socket]
	n.mu.Unlock()
	if taken {
		return violation(ipc.ReasonState, h.Type, "the number of a new socket is not in use")
	}
	g := n.granted.Load()
	if n.server.isDraining() {
		n.fail(h, wsk.STATUS_DEVICE_NOT_READY, ipc.ReasonDraining, "")
		return nil
	}
	if n.revoked.Load() {
		n.fail(h, wsk.STATUS_ACCESS_DENIED, ipc.ReasonRevoked, "")
		return nil
	}
	if m.Local.Scope != 0 && !ipaddr.Load(&m.Local.Addr).IsScoped() { // it would say whose the address is
		n.fail(h, wsk.STATUS_INVALID_ADDRESS_COMPONENT, ipc.ReasonAddressNotLocal, "only a link-local address has a scope")
		return nil
	}
	if reason := n.mayBind(g, &m); reason != ipc.ReasonNone {
		n.fail(h, wsk.STATUS_ACCESS_DENIED, reason, "")
		return nil
	}
	share := g.quota.NewShare()
	if !share.TakeSocket() {
		n.fail(h, wsk.STATUS_INSUFFICIENT_RESOURCES, ipc.ReasonSockets, "")
		return nil
	}
	s := n.server
	k := &socket{session: n, quota: share, judged: g, id: h.Socket, family: m.Family, flags: m.Flags}
	k.dual = m.Flags&ipc.OpenDualStack != 0
	k.pump = s.pumps[s.next.Add(1)%uint32(len(s.pumps))]
	k.member = s.grants.turnsAt(g.quota, k.pump).NewMember(k)
	k.hold.init(k)
	k.furnishInbox()
	ep, status := s.config.Transport.OpenEndpoint(m.Family, k)
	if status != wsk.STATUS_SUCCESS {
		share.GiveSocket()
		n.reply(h, status, nil)
		return nil
	}
	k.ep, k.inBind = ep, true
	n.open.Add(1)
	n.mu.Lock()
	n.sockets[h.Socket] = k
	n.mu.Unlock()
	ep.Bind(wsk.BindRequest{
		Local: addrPort(&m.Local, m.Family), DualStack: k.dual, ReuseAddress: m.Flags&ipc.OpenReuse != 0,
		ExclusiveAddressUse: m.Flags&ipc.OpenExclusive != 0, ShareGranted: m.Flags&ipc.OpenShare != 0, Owner: n.user.owner,
	}, func(local netip.AddrPort, status wsk.NTSTATUS) { k.bound(h, m.Local.Port, local, status) })
	k.bindReturned()
	return nil
}

// bound is the end of a bind. A reload passes over a socket that is opening: what it says counts from here on.
func (k *socket) bound(h ipc.Header, port uint16, local netip.AddrPort, status wsk.NTSTATUS) {
	n := k.session
	var reason ipc.Reason
	var was socketState
	for newest := false; !newest; {
		g := n.granted.Load()
		if g != k.judged && status == wsk.STATUS_SUCCESS {
			k.moveTo(g)
			reason = k.mayStay(g, local)
		}
		if n.revoked.Load() {
			reason = ipc.ReasonRevoked
		}
		was, newest = k.opened(h, g, local, status == wsk.STATUS_SUCCESS && reason == ipc.ReasonNone)
	}
	switch {
	case was != opening: // the session has ended
		k.behindBind(k.shut)
	case reason != ipc.ReasonNone:
		k.notOpened(h, wsk.STATUS_ACCESS_DENIED, reason, "")
	case status != wsk.STATUS_SUCCESS:
		reason, text := reasonOfBind(status, port, mayBind)
		k.notOpened(h, status, reason, text)
	}
}

// opened is the end of the opening, by what g says, unless that is not the newest policy any more. A socket that may open
// does, and its OPEN is answered, at one place in the order of the messages: nothing of the socket is sent before.
func (k *socket) opened(h ipc.Header, g *granted, local netip.AddrPort, may bool) (was socketState, newest bool) {
	n := k.session
	o := &n.out
	o.mu.Lock()
	defer o.mu.Unlock()
	k.mu.Lock()
	was, newest = k.state, g == n.granted.Load()
	may = may && newest && was == opening
	if may {
		k.state, k.local = isOpen, local
	} else if newest {
		k.state = closing
	}
	died := k.died
	k.mu.Unlock()
	if may {
		n.answered(h)
		h.Type = h.Type.Reply()
		o.postLocked(func(b []byte) []byte { return (&ipc.Opened{Local: wireAddress(local)}).Append(h.Append(b)) })
		if died != ipc.ReasonNone {
			k.tellDead(died)
		}
	}
	return was, newest
}

// notOpened answers OPEN with a failure, when nothing of the socket is left.
func (k *socket) notOpened(h ipc.Header, status wsk.NTSTATUS, reason ipc.Reason, text string) {
	k.behindBind(func() {
		k.ep.Abort()
		k.ep.Close(func() {
			k.forget()
			k.session.fail(h, status, reason, text)
			k.gone()
		})
	})
}

// close begins the end of the socket: what waits is cancelled, and when everything has completed the endpoint is
// closed. seq is the CLOSE that is answered then, 0 when the session ends.
func (k *socket) close(seq uint32) {
	k.mu.Lock()
	state := k.state
	if state != closing {
		k.state = closing
	}
	if seq != 0 {
		k.closing = ipc.Header{Type: ipc.TypeClose, Seq: seq, Socket: k.id}
	}
	k.mu.Unlock()
	if state != isOpen { // its bind, or a CLOSE, sees to the rest
		return
	}
	k.abort()
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	k.settle()
}

// settle closes the endpoint of a socket that is closing when the last job is over.
func (k *socket) settle() {
	k.mu.Lock()
	over := k.ended && len(k.jobs) == 0 && k.loans == 0 && !k.shutting
	k.shutting = k.shutting || over
	k.mu.Unlock()
	if over {
		k.shut()
	}
}

// abort cancels what waits, here and below.
func (k *socket) abort() {
	k.mu.Lock()
	k.aborted = true
	k.mu.Unlock()
	k.ep.Abort()
	k.cancelQueued()
}

// shut closes the endpoint of a socket that has no jobs any more.
func (k *socket) shut() {
	k.hold.stop()
	k.ep.Abort()
	k.ep.Close(func() {
		k.forget()
		k.mu.Lock()
		h := k.closing
		k.mu.Unlock()
		if h.Seq != 0 {
			k.session.reply(h, wsk.STATUS_SUCCESS, nil)
		}
		k.gone()
	})
}

// forget takes the socket out of its session, which may use the number again.
func (k *socket) forget() {
	n := k.session
	n.mu.Lock()
	delete(n.sockets, k.id)
	n.mu.Unlock()
	k.mu.Lock()
	charged := k.charged
	for _, j := range k.free {
		j.timer.Stop()
	}
	k.charged, k.free = 0, nil
	k.mu.Unlock()
	k.inbox.Close()
	k.quota.GiveMemory(charged)
	k.quota.GiveDestination(k.targets.clear())
	k.quota.GiveMembership(k.groups.clear())
	k.quota.GiveSocket()
}

// gone is the last that is heard of the socket.
func (k *socket) gone() { k.session.open.Done() }

// Dead implements wsk.EndpointEvents.
func (k *socket) Dead() { k.die(ipc.ReasonDeviceGone) }

// die tells the client that the socket can't send any more: once, behind the reply to OPEN, and not when the socket is
// closing, behind whose end its number may be another's.
func (k *socket) die(reason ipc.Reason) {
	o := &k.session.out
	o.mu.Lock()
	defer o.mu.Unlock()
	k.mu.Lock()
	first, state := k.died == ipc.ReasonNone, k.state
	if first {
		k.died = reason
	}
	k.mu.Unlock()
	if first && state == isOpen {
		k.tellDead(reason)
	}
}

// tellDead sends DEAD. The outbox is locked.
func (k *socket) tellDead(reason ipc.Reason) {
	m := ipc.Failure{Reason: reason, Text: reason.Sentence()}
	k.session.out.postLocked(func(b []byte) []byte {
		return m.Append(ipc.Header{Type: ipc.TypeDead, Socket: k.id}.Append(b))
	})
}
