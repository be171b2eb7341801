// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// daemon is a daemon without policy, identity and limits: the protocol over some Transport. A test may take messages
// away from it and answer itself.
type daemon struct {
	t         testing.TB
	path      string
	transport wsk.Transport
	features  ipc.Features
	// intercept, if set, is shown each message first, from HELLO on. The daemon does nothing with those that it takes.
	intercept func(p *peer, h ipc.Header, body []byte) bool
	hasty     bool // intercept does not even wait for the first message

	listener *net.UnixListener
	work     sync.WaitGroup
	mu       sync.Mutex
	peers    []*peer
	greeted  int
}

const allFeatures = ipc.FeatureReceive | ipc.FeatureSegment | ipc.FeatureCoalesced | ipc.FeatureMulticast | ipc.FeatureErrors

// serve starts a daemon. configure may change it first.
func serve(t testing.TB, transport wsk.Transport, configure func(*daemon)) *daemon {
	t.Helper()
	d := &daemon{t: t, path: filepath.Join(t.TempDir(), "s"), transport: transport, features: allFeatures}
	if configure != nil {
		configure(d)
	}
	d.listen()
	t.Cleanup(func() {
		d.kill()
		d.work.Wait()
	})
	return d
}

func (d *daemon) listen() {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: d.path, Net: "unixpacket"})
	if err != nil {
		d.t.Fatal(err)
	}
	d.listener = l
	d.work.Go(func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			p := &peer{d: d, conn: c, sockets: make(map[uint32]*socket)}
			d.mu.Lock()
			d.peers = append(d.peers, p)
			d.mu.Unlock()
			d.work.Go(p.serve)
		}
	})
}

// kill ends the daemon as kill -9 does.
func (d *daemon) kill() {
	d.listener.Close()
	d.mu.Lock()
	peers := d.peers
	d.peers = nil
	d.mu.Unlock()
	for _, p := range peers {
		p.conn.Close()
	}
}

// sessions is how many have been greeted.
func (d *daemon) sessions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.greeted
}

// peer is a session.
type peer struct {
	d       *daemon
	conn    *net.UnixConn
	mu      sync.Mutex
	sockets map[uint32]*socket
}

// write sends a message. A client that is gone gets none.
func (p *peer) write(h ipc.Header, body []byte) { p.conn.Write(append(h.Append(nil), body...)) }

func (p *peer) reply(h ipc.Header, status wsk.NTSTATUS, body []byte) {
	h.Type, h.Status = h.Type.Reply(), uint32(status)
	if status != wsk.STATUS_SUCCESS && body == nil {
		body = new(ipc.Failure).Append(nil)
	}
	p.write(h, body)
}

func (p *peer) serve() {
	defer p.end()
	if p.d.hasty {
		p.d.intercept(p, ipc.Header{}, nil)
		return
	}
	buf := make([]byte, ipc.MaxMessage)
	var send ipc.Send
	for {
		n, err := p.conn.Read(buf)
		if err != nil {
			return
		}
		h, body, err := ipc.ParseRequest(buf[:n])
		if err != nil {
			p.d.t.Error(err)
			return
		}
		if p.d.intercept != nil && p.d.intercept(p, h, body) {
			continue
		}
		if err := p.handle(h, body, &send); err != nil {
			p.d.t.Errorf("%v: %v", h.Type, err)
			return
		}
	}
}

func (p *peer) end() {
	p.conn.Close()
	p.mu.Lock()
	sockets := p.sockets
	p.sockets = nil
	p.mu.Unlock()
	for _, s := range sockets {
		s.endpoint.Abort()
		s.close(func() {})
	}
}

var errNoSocket = errors.New("no such socket")

func (p *peer) handle(h ipc.Header, body []byte, send *ipc.Send) error {
	switch h.Type {
	case ipc.TypeHello:
		return p.hello(h, body)
	case ipc.TypeSource:
		return p.source(h, body)
	case ipc.TypeOpen:
		return p.open(h, body)
	}
	p.mu.Lock()
	s := p.sockets[h.Socket]
	p.mu.Unlock()
	if s == nil {
		return errNoSocket
	}
	return s.handle(h, body, send)
}

func (p *peer) hello(h ipc.Header, body []byte) error {
	var hello ipc.Hello
	if err := hello.Decode(body); err != nil {
		return err
	}
	welcome := hello.Welcome(p.d.features)
	welcome.Sockets, welcome.Instance, welcome.Version = 8, 1, "test"
	p.d.mu.Lock()
	p.d.greeted++
	p.d.mu.Unlock()
	p.reply(h, wsk.STATUS_SUCCESS, welcome.Append(nil))
	p.sendAddresses()
	return nil
}

func (p *peer) sendAddresses() {
	source, ok := p.d.transport.(wsk.AddressSource)
	if !ok {
		return
	}
	var list ipc.Addresses
	for _, family := range []uint16{wsk.AF_INET, wsk.AF_INET6} {
		for i, a := range source.Addresses(family) {
			list.List = append(list.List, ipc.InterfaceAddress{Addr: a.Addr, Scope: a.Scope, IfIndex: uint32(i + 1)})
		}
	}
	p.write(ipc.Header{Type: ipc.TypeAddresses}, list.Append(nil))
}

func (p *peer) source(h ipc.Header, body []byte) error {
	var q ipc.Source
	if err := q.Decode(h.Type, body); err != nil {
		return err
	}
	a, status := p.d.transport.(wsk.AddressSource).SourceFor(wsk.Address{Addr: q.Addr, Scope: q.Scope, Port: q.Port})
	if status != wsk.STATUS_SUCCESS {
		p.reply(h, status, nil)
		return nil
	}
	q.Address = ipc.Address{Addr: a.Addr, Scope: a.Scope}
	p.reply(h, status, q.Append(nil))
	return nil
}

func (p *peer) open(h ipc.Header, body []byte) error {
	var o ipc.Open
	if err := o.Decode(body); err != nil {
		return err
	}
	s := &socket{p: p, number: h.Socket, family: o.Family, out: make(map[uint32][]*wsk.IRP)}
	endpoint, status := p.d.transport.OpenEndpoint(o.Family, s)
	if status != wsk.STATUS_SUCCESS {
		p.reply(h, status, nil)
		return nil
	}
	s.endpoint = endpoint.(wsk.ReceivingEndpoint)
	addr := netip.AddrFrom16(o.Local.Addr)
	if o.Family == wsk.AF_INET {
		addr = addr.Unmap()
	}
	if o.Local.Scope != 0 {
		addr = addr.WithZone(strconv.Itoa(int(o.Local.Scope)))
	}
	req := wsk.BindRequest{
		Local: netip.AddrPortFrom(addr, o.Local.Port), DualStack: o.Flags&ipc.OpenDualStack != 0,
		ReuseAddress: o.Flags&ipc.OpenReuse != 0, ExclusiveAddressUse: o.Flags&ipc.OpenExclusive != 0,
		ShareGranted: o.Flags&ipc.OpenShare != 0,
	}
	s.endpoint.Bind(req, func(local netip.AddrPort, status wsk.NTSTATUS) {
		if status != wsk.STATUS_SUCCESS {
			p.reply(h, status, nil)
			return
		}
		p.mu.Lock()
		if p.sockets != nil {
			p.sockets[h.Socket] = s
		}
		p.mu.Unlock()
		o.Local.Port = local.Port()
		opened := ipc.Opened{Local: o.Local}
		p.reply(h, status, opened.Append(nil))
	})
	return nil
}
