// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"log/slog"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Sockets are the sockets in the kernel of one endpoint: its companion, which is there from Bind on, and further ones
// on groups that the companion cannot receive. All methods are safe for concurrent use.
type Sockets struct {
	host     *Host
	sink     *receive.Sink
	family   uint16
	narrowed func(netip.Addr)
	options  atomic.Pointer[wsk.ReceiveOptions]

	// Set by Bind; does not change any more once companion is there.
	local   netip.AddrPort
	dual    bool
	sender  sender
	holding *holding

	ended atomic.Bool // no further change of groups or options

	mu          lockrank.Mutex[locks.SocketsMu]
	companion   *socket // nil before Bind has succeeded
	memberships map[groupKey]*membership
	groups      groupSockets
}

// NewSockets is what an endpoint of the family, AF_INET or AF_INET6, has in the kernel: nothing yet. Datagrams go to
// sink. narrowed is told of each destination whose path MTU an ICMP error has lowered.
func (h *Host) NewSockets(family uint16, sink *receive.Sink, narrowed func(netip.Addr)) *Sockets {
	s := &Sockets{host: h, sink: sink, family: family, narrowed: narrowed}
	s.options.Store(new(wsk.ReceiveOptions))
	return s
}

// Bind opens the companion socket on the wanted address, or on a free dynamic port of it. admit is called with a lock
// held when the companion is there; where it reports false the companion is closed, and Bind ends with
// STATUS_FILE_FORCED_CLOSED.
func (s *Sockets) Bind(req wsk.BindRequest, admit func() bool) (netip.AddrPort, wsk.NTSTATUS) {
	six := s.family == wsk.AF_INET6
	options := append(receiveBuffer(s.host.Buffer), sockopt{unix.SOL_SOCKET, unix.SO_BROADCAST, 1}) // the permission is the WSK socket's, checked before
	inherited := -1
	if s.host.Inherited != nil && req.Local.Port() != 0 {
		inherited = s.host.Inherited(req.Local)
	}
	if six && inherited < 0 { // one that is bound keeps what it has
		options = append(options, sockopt{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, boolInt(!req.DualStack)})
	}
	var held *holding
	c, err := openSocket(s.host.InNetNS, s.host.Log, six, inherited, options, func(c *socket, fd int) (err error) {
		held, err = s.host.ports.bind(c, fd, req)
		return err
	})
	if err != nil {
		status := bindStatus(err)
		level := slog.LevelDebug
		if status == wsk.STATUS_INSUFFICIENT_RESOURCES {
			level = slog.LevelWarn // the status does not say of what: descriptors (ulimit -n), memory
		}
		s.host.Log.Log(s.host.Ctx, level, "bind", "address", req.Local, "err", err)
		return netip.AddrPort{}, status
	}
	s.mu.Lock()
	ok := admit()
	if ok {
		s.local, s.dual, s.holding = held.req.Local, req.DualStack, held
		s.sender.init(s.host, c, s.local.Addr())
		s.companion = c
	}
	s.mu.Unlock()
	if !ok {
		s.host.ports.free(held)
		return netip.AddrPort{}, wsk.STATUS_FILE_FORCED_CLOSED
	}
	if o := *s.options.Load(); o != (wsk.ReceiveOptions{}) {
		c.setReceive(o)
	}
	return s.local, wsk.STATUS_SUCCESS
}

// IsBound reports whether Bind has succeeded.
func (s *Sockets) IsBound() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.companion != nil
}

// Asks is what the routes of the companion socket depend on besides addresses. Bind has succeeded.
func (s *Sockets) Asks() (q route.Query) {
	if err := s.companion.control(q.OfSocket); err != nil {
		s.host.Log.Error("ask what the companion socket is bound to", "address", s.local, "err", err)
	}
	return q
}

// Start lets datagrams in. What came before waits in the companion socket. Bind has succeeded.
func (s *Sockets) Start() { s.startReading(s.companion) }

// Send takes an operation and sends it through the kernel's stack. Bind has succeeded.
func (s *Sockets) Send(op *wsk.SendOp) { s.sender.send(op) }

// SendAndWait is Send that returns when the operation has ended and what it sent has left the companion socket, or does not leave
// within a tenth of a second. It returns the status in which it ended.
func (s *Sockets) SendAndWait(op *wsk.SendOp) wsk.NTSTATUS { return s.sender.sendAndWait(op) }

// Drain returns when what was given to Send before has left the companion socket, or does not leave within a tenth of a second.
func (s *Sockets) Drain() { s.sender.drain() }

// IsSending reports whether something that was given to Send has not been sent.
func (s *Sockets) IsSending() bool { return s.sender.isSending() }

// Configure sets what the WSK socket wants to receive.
func (s *Sockets) Configure(o wsk.ReceiveOptions) {
	s.options.Store(&o)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.companion == nil || s.ended.Load() {
		return
	}
	s.companion.setReceive(o)
	for _, g := range s.groups {
		g.setReceive(o)
	}
}

// Mark has the companion socket take the mark of what is sent from now on. Bind has succeeded.
func (s *Sockets) Mark(mark uint32) wsk.NTSTATUS {
	return s.sender.mark.change(mark, s.sender.isSending)
}

// Abort cancels the operations that wait here, and refuses further ones.
func (s *Sockets) Abort() {
	if s.IsBound() {
		s.sender.abort()
	}
}

// End refuses further changes of groups and options. It does not wait for one that is under way.
func (s *Sockets) End() { s.ended.Store(true) }

// Close gives the port back, if there is one. Memberships have been left before, and no operation waits any more. A
// second call does nothing.
func (s *Sockets) Close() {
	if s.IsBound() {
		s.sender.close()
		s.host.ports.free(s.holding)
	}
}
