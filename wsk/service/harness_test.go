// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// policyHead is the beginning of every policy here: interface 1 of the transport is eth0, and the grant of this process
// is open for more lines.
var policyHead = fmt.Sprintf("version = 1\n[interface.eth0]\n[interface.eth1]\n[[allow]]\nname = \"tests\"\nuid = %d\n", os.Getuid())

// generous allows everything that a policy can allow.
const generous = `
source = ["0.0.0.0/0", "::/0", "interface"]
source_port = ["1024-65535", "ephemeral"]
destination = ["0.0.0.0/0", "::/0"]
multicast = ["224.0.0.0/4", "ff00::/8"]
local = true
link_local = true
broadcast = true
reuse = true
rate = "unlimited"
sessions = 1000
sockets = 200
memory = "256MiB"
`

// bench is a server over a transport in memory.
type bench struct {
	t         testing.TB
	transport *wsktest.Transport
	server    *service.Server
	policy    *policy.Current
	path      string
	serving   sync.WaitGroup
}

func parsePolicy(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.toml", []byte(text), policy.Host{Units: true})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newBench(t testing.TB, grant string, change ...func(*service.Config)) *bench {
	t.Helper()
	b := &bench{t: t, transport: wsktest.New(), policy: policy.NewCurrent(parsePolicy(t, policyHead+grant))}
	b.transport.SetLocal(netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.78.0.1"))
	c := service.Config{
		Transport: b.transport, Policy: b.policy, Version: "test",
		Interface: func(index uint32) string { return map[uint32]string{1: "eth0", 2: "eth1"}[index] },
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	if b.server, err = service.New(c); err != nil {
		t.Fatal(err)
	}
	b.listen("default")
	t.Cleanup(b.shutdown)
	return b
}

func (b *bench) listen(name string) {
	b.t.Helper()
	b.path = filepath.Join(b.t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: b.path, Net: "unixpacket"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.serving.Go(func() {
		if err := b.server.Serve(l, name); !errors.Is(err, service.ErrClosed) {
			b.t.Errorf("Serve: %v", err)
		}
	})
}

// shutdown ends the server now, whatever clients there are, and looks at what is left.
func (b *bench) shutdown() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.server.Shutdown(ctx); err != nil {
		b.t.Errorf("Shutdown: %v", err)
	}
	b.serving.Wait()
	if c := b.transport.Counts(); c.Pending != 0 || c.Lent != 0 || c.Endpoints != c.Closed {
		b.t.Errorf("left in the transport: %+v", c)
	}
	for _, g := range b.server.Statistics().Grants {
		if u := g.Usage; u.Sessions != 0 || u.Sockets != 0 || u.Inflight != 0 || u.Destinations != 0 || u.Memberships != 0 || u.Memory != 0 {
			b.t.Errorf("left of grant %s: %+v", g.Name, u)
		}
	}
}

// client speaks the protocol as a test wants it, right or wrong.
type client struct {
	t    testing.TB
	conn *net.UnixConn
	seq  uint32
	buf  []byte
	// Notifications that have come while something else was waited for.
	notes []message
}

type message struct {
	ipc.Header
	body []byte
}

// patience is how long anything may take on a machine that is busy with other things.
const patience = time.Minute

func (b *bench) dial() *client {
	b.t.Helper()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: b.path, Net: "unixpacket"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{t: b.t, conn: conn, buf: make([]byte, ipc.MaxMessage)}
}

// allFeatures are those that clients of the tests ask for.
const allFeatures = ipc.FeatureReceive | ipc.FeatureSegment | ipc.FeatureCoalesced | ipc.FeatureMulticast | ipc.FeatureErrors

// hello begins a session.
func (b *bench) hello() *client {
	b.t.Helper()
	c := b.dial()
	m := c.ask(ipc.TypeHello, 0, &ipc.Hello{Features: allFeatures, MaxMessage: ipc.MaxMessage, Name: "test"})
	var w ipc.Welcome
	c.must(m, &w)
	if c.note().Type != ipc.TypeAddresses {
		b.t.Error("no ADDRESSES after HELLO")
	}
	return c
}

type appender interface{ Append([]byte) []byte }

type decoder interface{ Decode([]byte) error }

// post sends a request and does not wait for the reply.
func (c *client) post(typ ipc.Type, socket uint32, body appender) uint32 {
	c.t.Helper()
	c.seq++
	b := ipc.Header{Type: typ, Seq: c.seq, Socket: socket}.Append(nil)
	if body != nil {
		b = body.Append(b)
	}
	c.write(b)
	return c.seq
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// read takes the next message of any kind; ok is false at the end of the session.
func (c *client) read() (m message, ok bool) {
	n, err := c.conn.Read(c.buf)
	if err != nil || n == 0 {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("nothing comes")
		}
		return m, false
	}
	h, body, err := ipc.ParseAnswer(c.buf[:n])
	if err != nil {
		c.t.Fatalf("the server breaks the protocol: %v", err)
	}
	return message{h, append([]byte(nil), body...)}, true
}

// next is read that must succeed.
func (c *client) next() message {
	c.t.Helper()
	m, ok := c.read()
	if !ok {
		c.t.Fatal("the session has ended")
	}
	return m
}

// note is the next notification.
func (c *client) note() message {
	c.t.Helper()
	if len(c.notes) > 0 {
		m := c.notes[0]
		c.notes = c.notes[1:]
		return m
	}
	m := c.next()
	if m.Type.IsReply() {
		c.t.Fatalf("%v instead of a notification", m.Type)
	}
	return m
}

// reply waits for the reply to a request.
func (c *client) reply(seq uint32) message {
	c.t.Helper()
	for {
		m := c.next()
		if !m.Type.IsReply() {
			c.notes = append(c.notes, m)
			continue
		}
		if m.Seq != seq {
			c.t.Fatalf("a reply to %d, not to %d", m.Seq, seq)
		}
		return m
	}
}

// skipTo reads until the reply to a request, whatever else comes before it.
func (c *client) skipTo(seq uint32) message {
	c.t.Helper()
	for {
		if m := c.next(); m.Type.IsReply() && m.Seq == seq {
			return m
		}
	}
}

func (c *client) ask(typ ipc.Type, socket uint32, body appender) message {
	c.t.Helper()
	return c.reply(c.post(typ, socket, body))
}

// must decodes the body of a success.
func (c *client) must(m message, body decoder) {
	c.t.Helper()
	if m.Status != 0 {
		f := c.failure(m)
		c.t.Fatalf("%v: %v, %v: %s", m.Type, wsk.NTSTATUS(m.Status), f.Reason, f.Text)
	}
	if body == nil {
		return
	}
	if err := body.Decode(m.body); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) failure(m message) ipc.Failure {
	c.t.Helper()
	var f ipc.Failure
	if err := f.Decode(m.Type, m.body); err != nil {
		c.t.Fatal(err)
	}
	return f
}

// refused checks that a request has failed for a reason.
func (c *client) refused(m message, status wsk.NTSTATUS, reason ipc.Reason) {
	c.t.Helper()
	if m.Status == 0 {
		c.t.Errorf("%v has succeeded, want %v", m.Type, reason)
		return
	}
	if f := c.failure(m); wsk.NTSTATUS(m.Status) != status || f.Reason != reason {
		c.t.Errorf("%v: %v, %v (%s), want %v, %v", m.Type, wsk.NTSTATUS(m.Status), f.Reason, f.Text, status, reason)
	}
}

// ended waits for the end of the session and checks why it came.
func (c *client) ended(reason ipc.Reason) {
	c.t.Helper()
	for {
		m, ok := c.read()
		switch {
		case !ok && reason == ipc.ReasonNone:
			return
		case !ok:
			c.t.Errorf("the session has ended without an ERROR, want %v", reason)
			return
		case m.Type == ipc.TypeError:
			if f := c.failure(m); f.Reason != reason {
				c.t.Errorf("ERROR %v (%s), want %v", f.Reason, f.Text, reason)
			}
			if m, ok := c.read(); ok {
				c.t.Errorf("%v after ERROR", m.Type)
			}
			return
		}
	}
}

// open opens an IPv4 socket.
func (c *client) open(socket uint32, local string) netip.AddrPort {
	c.t.Helper()
	var o ipc.Opened
	c.must(c.ask(ipc.TypeOpen, socket, openRequest(local)), &o)
	return netip.AddrPortFrom(netip.AddrFrom16(o.Local.Addr).Unmap(), o.Local.Port)
}

func openRequest(local string) *ipc.Open {
	ap := netip.MustParseAddrPort(local)
	o := &ipc.Open{Family: ipc.FamilyIPv4, Local: ipc.Address{Addr: ap.Addr().As16(), Port: ap.Port()}}
	if ap.Addr().Is6() {
		o.Family = ipc.FamilyIPv6
	}
	return o
}

func entry(id uint32, to string) ipc.Entry {
	ap := netip.MustParseAddrPort(to)
	return ipc.Entry{ID: id, Addr: ap.Addr().As16(), Port: ap.Port(), TTL: 64}
}

// sendRequest is a whole SEND.
func (c *client) sendRequest(socket uint32, payload string, entries ...ipc.Entry) []byte {
	c.seq++
	var w ipc.SendWriter
	w.Begin(make([]byte, 0, ipc.MaxMessage), c.seq, socket)
	for i := range entries {
		e := entries[i]
		e.Length = uint32(len(payload))
		room, ok := w.Add(&e)
		if !ok {
			c.t.Fatal("too much for one SEND")
		}
		copy(room, payload)
	}
	return w.Message()
}

// send sends and waits for all completions, by id.
func (c *client) send(socket uint32, payload string, entries ...ipc.Entry) map[uint32]ipc.Completion {
	c.t.Helper()
	c.write(c.sendRequest(socket, payload, entries...))
	return c.completions(c.seq)
}

func (c *client) completions(seq uint32) map[uint32]ipc.Completion {
	c.t.Helper()
	all := make(map[uint32]ipc.Completion)
	for {
		m := c.reply(seq)
		var d ipc.Done
		c.must(m, &d)
		for _, one := range d.Completions() {
			if _, twice := all[one.ID]; twice {
				c.t.Errorf("%d has completed twice", one.ID)
			}
			all[one.ID] = one
		}
		if d.Left == 0 {
			return all
		}
	}
}
