// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

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
	if !s.enter(n) {
		t.Fatal("it is not taken")
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
