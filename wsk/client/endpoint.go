// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// endpoint is the client's half of a WSK socket. From its Bind on it belongs to one session, whose mutex guards it.
type endpoint struct {
	t       *Transport
	family  uint16
	events  wsk.EndpointEvents
	session atomic.Pointer[session] // nil before the first Bind
	number  uint32                  // of the socket in the session

	out     sending
	in      receiving
	mtus    map[wsk.Destination]mtu
	isReady bool // in the line for the writer
	bound   bool
	doomed  bool // the daemon has said that it is dead before it has said that it is bound
	dead    bool // nothing is sent any more
	closing bool

	options       wsk.ReceiveOptions // the last that were asked for
	configuring   bool               // a CONFIGURE is under way
	reconfiguring bool               // and options have changed since
}

// mtu is what the daemon has said of a destination.
type mtu struct {
	bytes   int // 0: not known
	at      time.Time
	pending bool // a question is under way
}

var (
	_ wsk.ReceivingEndpoint = (*endpoint)(nil)
	_ wsk.InterfaceFinder   = (*endpoint)(nil)
	_ wsk.Canceller         = (*endpoint)(nil)
	_ wsk.BatchEndpoint     = (*endpoint)(nil)
)

func newEndpoint(t *Transport, family uint16, events wsk.EndpointEvents) *endpoint {
	ep := &endpoint{t: t, family: family, events: events}
	ep.in.receiver, _ = events.(wsk.Receiver)
	ep.in.wake, ep.in.done = make(chan struct{}, 1), ep.giveBack
	return ep
}

// Bind implements wsk.Endpoint. It connects if there is no session.
func (ep *endpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	go func() {
		s, err := ep.t.acquire()
		if err != nil {
			done(netip.AddrPort{}, statusOf(err))
			return
		}
		if err := ep.attach(s); err != nil {
			done(netip.AddrPort{}, statusOf(err))
			return
		}
		open := openOf(ep.family, &req)
		s.post(request{kind: ipc.TypeOpen, socket: ep.number, body: open.Append(nil), reply: func(body []byte, err error) {
			var opened ipc.Opened
			if err == nil {
				if err = opened.Decode(body); err != nil {
					s.end(err)
				}
			}
			ep.opened(&req, &opened, err, done)
		}})
	}()
}

// attach gives the endpoint a number in a session, unless that has ended meanwhile.
func (ep *endpoint) attach(s *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return s.cause
	}
	for {
		s.serial++
		if _, used := s.sockets[s.serial]; s.serial != 0 && !used {
			break
		}
	}
	ep.number, ep.doomed = s.serial, false
	ep.session.Store(s)
	s.sockets[ep.number] = ep
	s.done.users++
	return nil
}

// detach undoes attach. The mutex is held.
func (s *session) detach(ep *endpoint) {
	if s.sockets[ep.number] == ep {
		delete(s.sockets, ep.number)
		s.done.leave()
	}
}

func openOf(family uint16, req *wsk.BindRequest) ipc.Open {
	open := ipc.Open{Family: family, Local: ipc.Address{Port: req.Local.Port()}}
	addr := req.Local.Addr()
	open.Local.Addr = addr.WithZone("").As16()
	scope, err := strconv.ParseUint(addr.Zone(), 10, 32)
	if err == nil && ipaddr.Load(&open.Local.Addr).IsScoped() { // with others it means nothing, and the daemon wants none
		open.Local.Scope = uint32(scope)
	}
	for flag, set := range map[ipc.OpenFlags]bool{
		ipc.OpenDualStack: req.DualStack,
		ipc.OpenReuse:     req.ReuseAddress && !req.ExclusiveAddressUse,
		ipc.OpenExclusive: req.ExclusiveAddressUse,
		ipc.OpenShare:     req.ShareGranted,
	} {
		if set {
			open.Flags |= flag
		}
	}
	return open
}

// opened takes the answer to OPEN, and tells the socket on the session's goroutine.
func (ep *endpoint) opened(req *wsk.BindRequest, opened *ipc.Opened, err error, done func(netip.AddrPort, wsk.NTSTATUS)) {
	s := ep.session.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.over {
		err = s.cause
	}
	if err != nil {
		var refusal Refusal
		if errors.As(err, &refusal) && refusal.Of == ipc.TypeOpen {
			refusal.Local = req.Local
			s.done.call(func() { ep.t.refused(refusal) })
		}
		s.done.call(func() { done(netip.AddrPort{}, statusOf(err)) })
		s.detach(ep)
		return
	}
	ep.bound = true
	ep.out.init()
	local := ep.addrPort(&opened.Local)
	s.done.call(func() {
		done(local, wsk.STATUS_SUCCESS)
		ep.receive()
	})
	if ep.doomed {
		ep.die()
	}
}

// addrPort is an address in the form that the socket's family has.
func (ep *endpoint) addrPort(a *ipc.Address) netip.AddrPort {
	addr := netip.AddrFrom16(a.Addr)
	if ep.family == wsk.AF_INET {
		addr = addr.Unmap()
	}
	if a.Scope != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(a.Scope), 10))
	}
	return netip.AddrPortFrom(addr, a.Port)
}

// die makes the endpoint one that can't send any more, and tells the socket. One that is not bound dies when it is, in the
// same session: a Bind that fails may be followed by one that succeeds. The mutex is held.
func (ep *endpoint) die() {
	if !ep.bound {
		ep.doomed = true
		return
	}
	if ep.dead {
		return
	}
	ep.dead = true
	if !ep.closing {
		ep.session.Load().done.call(ep.events.Dead)
	}
}

// hasWork says whether there is anything for the writer. The mutex is held.
func (ep *endpoint) hasWork() bool {
	return ep.in.due > 0 || ep.out.canSend()
}

// Close implements wsk.Endpoint.
func (ep *endpoint) Close(done func()) {
	s := ep.session.Load()
	if s == nil {
		done()
		return
	}
	s.mu.Lock()
	if !ep.bound { // the last Bind has failed
		s.mu.Unlock()
		done()
		return
	}
	ep.closing = true
	ep.in.due = 0
	s.mu.Unlock()
	ep.in.shut()
	s.post(request{kind: ipc.TypeClose, socket: ep.number, reply: func(_ []byte, err error) {
		var refusal Refusal
		if errors.As(err, &refusal) && refusal.Of == ipc.TypeClose {
			s.end(&ipc.Violation{Reason: ipc.ReasonMessage, Type: ipc.TypeClose.Reply(), Rule: "a socket can always be closed"})
		}
		s.mu.Lock()
		delete(s.sockets, ep.number)
		s.mu.Unlock()
		s.leave()
		ep.in.whenQuiet(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.done.call(done)
			s.done.leave()
		})
	}})
}

// Change implements wsk.ReceivingEndpoint. It waits for the daemon's answer, at most two seconds.
func (ep *endpoint) Change(m wsk.Membership) wsk.NTSTATUS {
	s := ep.session.Load()
	switch {
	case s == nil:
		return wsk.STATUS_INVALID_DEVICE_STATE
	case !s.has(ipc.FeatureMulticast):
		return wsk.STATUS_NOT_SUPPORTED
	}
	body := ipc.Membership{
		Change: ipc.Change(m.Change), Group: m.Group, Source: m.Source, Local: m.Local, IfIndex: m.IfIndex,
	}
	return s.ask(ipc.TypeMembership, ep.number, body.Append(nil), func(body []byte) error {
		return ipc.Empty(ipc.TypeMembership.Reply(), body)
	})
}

// Configure implements wsk.ReceivingEndpoint.
func (ep *endpoint) Configure(o wsk.ReceiveOptions) {
	s := ep.session.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	ep.options = o
	if ep.configuring {
		ep.reconfiguring = true
		return
	}
	ep.configure(s)
}

// configure sends the options, and again until those that were sent are the last ones. The mutex is held.
func (ep *endpoint) configure(s *session) {
	ep.reconfiguring = false
	if s.over || ep.closing {
		return
	}
	ep.configuring = true
	o := ep.options
	body := ipc.Configure{Errors: o.Errors && s.has(ipc.FeatureErrors), BufferBytes: o.BufferBytes}
	if s.has(ipc.FeatureCoalesced) {
		body.MaxCoalesced = o.MaxCoalesced
	}
	s.enqueue(request{kind: ipc.TypeConfigure, socket: ep.number, body: body.Append(nil), reply: func([]byte, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if ep.configuring = false; ep.reconfiguring {
			ep.configure(s)
		}
	}})
}

// InterfaceOf implements wsk.InterfaceFinder, from what the daemon has said of its host's addresses.
func (ep *endpoint) InterfaceOf(a netip.Addr) (uint32, wsk.NTSTATUS) {
	if s := ep.session.Load(); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, o := range s.addresses {
			if ipaddr.Addr(o.Addr) == a.Unmap().WithZone("") {
				return o.IfIndex, wsk.STATUS_SUCCESS
			}
		}
	}
	return 0, wsk.STATUS_INVALID_ADDRESS_COMPONENT
}
