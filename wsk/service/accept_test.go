// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// grantText is a policy that grants this user something under a name.
func grantText(name string) []byte {
	return fmt.Appendf(nil, "version = 1\n[interface.eth0]\n[[allow]]\nname = %q\nuid = %d\ndestination = [\"10.0.0.0/8\"]\n", name, os.Getuid())
}

// connected is a connection of this process to itself, as a server has accepted it.
func connected(t *testing.T) *peer.Conn {
	t.Helper()
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixpacket"}
	l, err := net.ListenUnix("unixpacket", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.DialUnix("unixpacket", nil, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	accepted, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	c, err := peer.New(accepted)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestReloadWhileAClientComes: a policy that is put in force after a client was matched, and before others find its
// session, counts for it too.
func TestReloadWhileAClientComes(t *testing.T) {
	p, err := policy.Parse("p", grantText("old"), policy.Host{})
	if err != nil {
		t.Fatal(err)
	}
	current := policy.NewCurrent(p)
	s, err := New(Config{Transport: wsktest.New(), Policy: current})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(t.Context()) })
	c := connected(t)
	who, err := c.Identify("tests")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := s.users.begin(userKey{who.UID, who.Listener})
	g, reason := s.match(who)
	if g == nil {
		t.Fatal(reason)
	}
	n := newSession(s, c, who, u, g)
	if err := current.Reload("p", grantText("new"), policy.Host{}); err != nil {
		t.Fatal(err)
	}
	s.PolicyChanged()
	if reason := s.enter(n); reason != ipc.ReasonNone {
		t.Fatal("it is not taken: ", reason)
	}
	if name := n.granted.Load().grant.Name; name != "new" {
		t.Errorf("the grant is %q", name)
	}
	want := map[string]int64{"new": 1, "old": 0}
	for _, a := range s.Statistics().Grants {
		if a.Usage.Sessions != want[a.Name] {
			t.Errorf("%s has %d sessions", a.Name, a.Usage.Sessions)
		}
	}
	close(n.over)
	c.Close(nil)
	s.leave(n)
}

// twoPods is a policy that grants two containers something by the sockets that they come through.
const twoPods = `version = 1
[interface.eth0]
[[allow]]
name = "pod"
listener = "pod"
sessions = 5
destination = ["10.0.0.0/8"]
[[allow]]
name = "other"
listener = "other"
destination = ["10.0.0.0/8"]
`

// forging serves clients that are who forge makes them, and answers with the paths of its listeners pod and other.
func forging(t *testing.T, text string, forge func(*peer.Identity)) (s *Server, transport *wsktest.Transport, paths map[string]string) {
	t.Helper()
	p, err := policy.Parse("p", []byte(text), policy.Host{Units: true})
	if err != nil {
		t.Fatal(err)
	}
	transport = wsktest.New()
	transport.SetLocal(netip.MustParseAddr("10.77.0.1"))
	s, err = New(Config{Transport: transport, Policy: policy.NewCurrent(p), Interface: func(uint32) string { return "eth0" }})
	if err != nil {
		t.Fatal(err)
	}
	s.identify = func(c *peer.Conn, listener string) (*peer.Identity, error) {
		who, err := c.Identify(listener)
		if err == nil {
			forge(who)
		}
		return who, err
	}
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(over)
	})
	paths = make(map[string]string)
	for _, name := range []string{"pod", "other"} {
		paths[name] = filepath.Join(t.TempDir(), "s")
		l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: paths[name], Net: "unixpacket"})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if err := s.Serve(l, name); !errors.Is(err, ErrClosed) {
				t.Errorf("Serve: %v", err)
			}
		}()
	}
	return s, transport, paths
}

// connectTo connects a client.
func connectTo(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(testenv.Patience(time.Minute)))
	return c
}

// converse sends a request, unless the server has hung up, and answers with the first message that is no notification
// but an ERROR, or the reply.
func converse(t *testing.T, c *net.UnixConn, typ ipc.Type, socket uint32, body interface{ Append([]byte) []byte }) (ipc.Header, ipc.Failure) {
	t.Helper()
	_, _ = c.Write(body.Append(ipc.Header{Type: typ, Seq: 1, Socket: socket}.Append(nil)))
	b := make([]byte, ipc.MaxMessage)
	for {
		n, err := c.Read(b)
		if err != nil || n == 0 {
			t.Fatalf("%d bytes, %v", n, err)
		}
		h, body, err := ipc.ParseAnswer(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		var f ipc.Failure
		if h.Status != 0 || h.Type == ipc.TypeError {
			if err := f.Decode(h.Type, body); err != nil {
				t.Fatal(err)
			}
		}
		if h.Type == ipc.TypeError || h.Type == typ.Reply() {
			return h, f
		}
	}
}

// greeted is whether a client gets a session, or why not.
func greeted(t *testing.T, c *net.UnixConn) ipc.Reason {
	t.Helper()
	_, f := converse(t, c, ipc.TypeHello, 0, &ipc.Hello{MaxMessage: ipc.MaxMessage, Name: "test"})
	return f.Reason
}

// TestSessionsOfManyUsers: who can be any user, as root of a container can, has no more sessions than the grant.
func TestSessionsOfManyUsers(t *testing.T) {
	var users atomic.Uint32
	s, _, paths := forging(t, twoPods, func(who *peer.Identity) { who.UID = users.Add(1) })
	var all []*net.UnixConn
	for i := range 8 {
		c := connectTo(t, paths["pod"])
		want := ipc.ReasonNone
		if i >= 5 {
			want = ipc.ReasonConnections
		}
		if got := greeted(t, c); got != want {
			t.Errorf("client %d: %v, want %v", i, got, want)
		}
		all = append(all, c)
	}
	other := connectTo(t, paths["other"])
	if got := greeted(t, other); got != ipc.ReasonNone {
		t.Errorf("a client of another grant: %v", got)
	}
	all[0].Close()
	testenv.Eventually(t, time.Minute, "a session to end", func() bool { return s.Statistics().Sessions == 5 })
	if got := greeted(t, connectTo(t, paths["pod"])); got != ipc.ReasonNone {
		t.Errorf("when one has gone: %v", got)
	}
}

// TestTurnsOfManyUsers: the share of a queue is that of the grant, however many users its clients are.
func TestTurnsOfManyUsers(t *testing.T) {
	var users atomic.Uint32
	_, transport, paths := forging(t, twoPods, func(who *peer.Identity) { who.UID = users.Add(1) })
	first, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	transport.SetWay(func(*wsk.Destination) wsk.Way { // keeps whoever makes the rounds, so that all are there when they begin
		once.Do(func() {
			close(first)
			<-gate
		})
		return wsk.Way{IfIndex: 1, Source: netip.MustParseAddr("10.77.0.1").As16(), MTU: 1500}
	})
	open := func(path string, port uint16) *net.UnixConn {
		c := connectTo(t, paths[path])
		if reason := greeted(t, c); reason != ipc.ReasonNone {
			t.Fatal(reason)
		}
		local := ipc.Address{Addr: netip.MustParseAddr("10.77.0.1").As16(), Port: port}
		if h, f := converse(t, c, ipc.TypeOpen, 1, &ipc.Open{Family: ipc.FamilyIPv4, Local: local}); h.Status != 0 {
			t.Fatalf("OPEN: %s", f.Text)
		}
		return c
	}
	to := ipc.Entry{Addr: netip.MustParseAddr("10.77.0.2").As16(), Port: 9, TTL: 64}
	send := func(c *net.UnixConn, seq uint32, n int) {
		var w ipc.SendWriter
		w.Begin(make([]byte, 0, ipc.MaxMessage), seq, 1)
		for range n {
			w.Add(&to)
		}
		if _, err := c.Write(w.Message()); err != nil {
			t.Fatal(err)
		}
	}
	keeper := open("pod", 0)
	var all []*net.UnixConn
	for range 3 {
		all = append(all, open("pod", 0))
	}
	all = append(all, open("other", 50000))
	send(keeper, 1, 1)
	<-first
	const sends = 4
	for _, c := range all {
		for i := range uint32(sends) {
			send(c, 2+i, ipc.MaxBatch)
		}
		converse(t, c, ipc.TypeMTU, 1, &ipc.Path{To: to}) // by then all of it has been read
	}
	close(gate)
	const frames = 1 + 4*sends*ipc.MaxBatch
	testenv.Eventually(t, time.Minute, "all to leave", func() bool { return len(transport.Datagrams()) == frames })
	others := 0
	for _, d := range transport.Datagrams()[:2*sends*ipc.MaxBatch] { // for so long all have more
		if d.From.Port() == 50000 {
			others++
		}
	}
	if want := sends * ipc.MaxBatch; others < want-ipc.MaxBatch || others > want+ipc.MaxBatch {
		t.Errorf("%d datagrams of the other grant among the first %d, want half", others, 2*want)
	}
}

// TestUnitKeepsNobody: a client whose unit takes long to find keeps no other from its session.
func TestUnitKeepsNobody(t *testing.T) {
	const text = "version = 1\n[interface.eth0]\n[[allow]]\nname = \"a\"\nunit = \"a.service\"\ndestination = [\"10.0.0.0/8\"]\n"
	asked, gate := make(chan struct{}), make(chan struct{})
	var users atomic.Uint32
	_, _, paths := forging(t, text, func(who *peer.Identity) {
		first := users.Add(1) == 1
		who.InUnit = func(string) bool {
			if first {
				close(asked)
				<-gate
			}
			return true
		}
	})
	slow := connectTo(t, paths["pod"])
	<-asked
	if got := greeted(t, connectTo(t, paths["pod"])); got != ipc.ReasonNone {
		t.Error(got)
	}
	close(gate)
	if got := greeted(t, slow); got != ipc.ReasonNone {
		t.Error(got)
	}
}

// TestLinesOfManyUsers: who can be any user does not fill the log with refusals, and other listeners have theirs.
func TestLinesOfManyUsers(t *testing.T) {
	var s stats
	lines := func(listener string) (n int) {
		began := time.Now()
		for uid := range uint32(1000) {
			if s.mayLogClient(userKey{uid, listener}, ipc.ReasonNotGranted) {
				n++
			}
		}
		if most := linesASecond * (2 + int(time.Since(began).Seconds())); n < linesASecond || n > most {
			t.Errorf("%s: %d lines", listener, n)
		}
		return n
	}
	lines("pod")
	lines("other")
}
