// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/quota"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// ways are the routes of the tests: everything leaves through eth0 with its address, but for 10.78/16 and this host
// itself.
func ways(to *wsk.Destination) wsk.Way {
	a := to.IP()
	way := wsk.Way{IfIndex: 1, Source: netip.MustParseAddr("10.77.0.1").As16(), MTU: 1500}
	switch {
	case a == netip.MustParseAddr("10.77.0.1"):
		way.Kind = wsk.WayLocal
	case a == netip.MustParseAddr("10.77.255.255"):
		way.Kind = wsk.WayBroadcast
	case a.IsMulticast():
		way.Kind = wsk.WayMulticast
	case netip.MustParsePrefix("10.78.0.0/16").Contains(a):
		way.IfIndex, way.Source = 2, netip.MustParseAddr("10.78.0.1").As16()
	}
	return way
}

func guarded(c *service.Config) {
	t := c.Transport.(interface {
		SetWay(func(*wsk.Destination) wsk.Way)
		Recheck()
	})
	t.SetWay(ways)
	c.Recheck = t.Recheck
}

// TestGrantDecides: each line of a grant lets through what it says, and what it does not say is refused with its
// reason.
func TestGrantDecides(t *testing.T) {
	const all = "destination = [\"10.0.0.0/8:9\"]\n"
	type change func(*ipc.Entry)
	for _, tt := range []struct {
		name, grant, to string
		change          change
		reason          ipc.Reason
	}{
		{"destination", all, "10.77.0.2:9", nil, 0},
		{"another prefix", all, "11.0.0.1:9", nil, ipc.ReasonDestination},
		{"another port", all, "10.77.0.2:10", nil, ipc.ReasonDestination},
		{"interface", all + "interface = [\"eth0\"]\n", "10.77.0.2:9", nil, 0},
		{"another interface", all + "interface = [\"eth0\"]\n", "10.78.0.2:9", nil, ipc.ReasonInterface},
		{"another source", all + "source = [\"10.77.0.1\"]\n", "10.78.0.2:9", nil, ipc.ReasonSourceAddress},
		{"local", all + "local = true\n", "10.77.0.1:9", nil, 0},
		{"local denied", all, "10.77.0.1:9", nil, ipc.ReasonLocal},
		{"broadcast", all + "broadcast = true\n", "10.77.255.255:9", flags(1), 0},
		{"broadcast denied", all, "10.77.255.255:9", flags(1), ipc.ReasonBroadcast},
		{"limited broadcast without the flag", all + "broadcast = true\n", "255.255.255.255:9", nil, ipc.ReasonBroadcast},
		{"multicast", all + "multicast = [\"239.1.0.0/16:9\"]\n", "239.1.2.3:9", nil, 0},
		{"multicast denied", all + "multicast = [\"239.1.0.0/16:9\"]\n", "239.2.2.3:9", nil, ipc.ReasonMulticast},
		{"link-local denied", "destination = [\"0.0.0.0/0\"]\n", "169.254.1.1:9", nil, ipc.ReasonLinkLocal},
		{"link-local", "destination = [\"0.0.0.0/0\"]\nlink_local = true\n", "169.254.1.1:9", nil, 0},
		{"dscp", all + "dscp = [46]\n", "10.77.0.2:9", func(e *ipc.Entry) { e.TOS = 46 << 2 }, 0},
		{"dscp denied", all + "dscp = [46]\n", "10.77.0.2:9", nil, ipc.ReasonDSCP},
		{"ttl", all + "ttl_max = 64\n", "10.77.0.2:9", nil, 0},
		{"ttl denied", all + "ttl_max = 63\n", "10.77.0.2:9", nil, ipc.ReasonTTL},
		{"size", all + "size = 7\n", "10.77.0.2:9", nil, 0},
		{"size denied", all + "size = 6\n", "10.77.0.2:9", nil, ipc.ReasonSize},
		{"segments count one by one", all + "size = 4\n", "10.77.0.2:9", func(e *ipc.Entry) { e.Segment = 4 }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.grant, guarded)
			c := b.hello()
			c.open(1, "10.77.0.1:0")
			e := entry(1, tt.to)
			if tt.change != nil {
				tt.change(&e)
			}
			got := c.send(1, "payload", e)[1]
			want := wsk.STATUS_SUCCESS
			if tt.reason != 0 {
				want = wsk.STATUS_ACCESS_DENIED
			}
			if wsk.NTSTATUS(got.Status) != want || got.Reason != tt.reason {
				t.Errorf("%v, %v, want %v, %v", wsk.NTSTATUS(got.Status), got.Reason, want, tt.reason)
			}
			if left := len(b.transport.Datagrams()) != 0; left != (tt.reason == 0) {
				t.Errorf("datagrams have left: %v", left)
			}
		})
	}
}

func flags(f uint8) func(*ipc.Entry) { return func(e *ipc.Entry) { e.Flags = f } }

// reload puts another grant in force.
func (b *bench) reload(grant string) {
	b.t.Helper()
	if err := b.policy.Reload("policy.toml", []byte(policyHead+grant), policy.Host{Units: true}); err != nil {
		b.t.Fatal(err)
	}
	b.server.PolicyChanged()
}

// TestScopeOfGlobalAddress: the interface of an address is where the host has it. Only with a link-local one, which is
// there on every interface, does the scope decide.
func TestScopeOfGlobalAddress(t *testing.T) {
	b := newBench(t, "destination = [\"::/0\"]\ninterface = [\"eth0\"]\nsource = [\"interface\"]\nlink_local = true\n")
	b.transport.SetLocal(netip.MustParseAddr("fe80::1"), netip.MustParseAddr("2001:db8::1"))
	c := b.hello()
	open := func(socket uint32, local string, scope uint32) message {
		o := openRequest(local)
		o.Local.Scope = scope
		return c.ask(ipc.TypeOpen, socket, o)
	}
	c.refused(open(1, "[2001:db8::1]:0", 0), wsk.STATUS_ACCESS_DENIED, ipc.ReasonSourceAddress)
	c.refused(open(1, "[2001:db8::1]:0", 1), wsk.STATUS_INVALID_ADDRESS_COMPONENT, ipc.ReasonAddressNotLocal)
	c.refused(open(1, "[::]:0", 1), wsk.STATUS_INVALID_ADDRESS_COMPONENT, ipc.ReasonAddressNotLocal)
	c.refused(open(1, "[fe80::1]:0", 2), wsk.STATUS_ACCESS_DENIED, ipc.ReasonSourceAddress)
	c.must(open(1, "[fe80::1]:0", 1), nil)
}

// TestReload: a destination, an address and a client that a reload takes away.
func TestReload(t *testing.T) {
	b := newBench(t, "destination = [\"10.77.0.0/16\"]\nsource = [\"10.77.0.1\", \"10.78.0.1\"]\n", guarded)
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	c.open(2, "10.78.0.1:0")
	status := func(socket uint32) (wsk.NTSTATUS, ipc.Reason) {
		t.Helper()
		one := c.send(socket, "x", entry(1, "10.77.0.2:9"))[1]
		return wsk.NTSTATUS(one.Status), one.Reason
	}
	if s, r := status(1); s != wsk.STATUS_SUCCESS {
		t.Fatal(s, r)
	}
	b.reload("destination = [\"10.79.0.0/16\"]\nsource = [\"10.77.0.1\"]\n")
	if m := c.note(); m.Type != ipc.TypeDead || m.Socket != 2 || c.failure(m).Reason != ipc.ReasonRevoked {
		t.Errorf("%v of socket %d", m.Type, m.Socket)
	}
	if s, r := status(1); s != wsk.STATUS_ACCESS_DENIED || r != ipc.ReasonDestination {
		t.Error(s, r)
	}
	if s, r := status(2); s != wsk.STATUS_FILE_FORCED_CLOSED || r != ipc.ReasonRevoked {
		t.Error(s, r)
	}
	c.must(c.ask(ipc.TypeClose, 2, nil), nil)
	b.reload("destination = [\"10.77.0.0/16\"]\nsource = [\"10.77.0.1\"]\n")
	if s, r := status(1); s != wsk.STATUS_SUCCESS {
		t.Error(s, r)
	}
	if err := b.policy.Reload("policy.toml", []byte("version = 1\n[interface.eth0]\n[interface.eth1]\n"), policy.Host{}); err != nil {
		t.Fatal(err)
	}
	b.server.PolicyChanged()
	if m := c.note(); m.Type != ipc.TypeGoodbye {
		t.Errorf("%v", m.Type)
	}
	if s, r := status(1); s != wsk.STATUS_FILE_FORCED_CLOSED || r != ipc.ReasonRevoked {
		t.Error(s, r)
	}
	c.refused(c.ask(ipc.TypeOpen, 3, openRequest("10.77.0.1:0")), wsk.STATUS_ACCESS_DENIED, ipc.ReasonRevoked)
	c.ended(ipc.ReasonRevoked)
	b.dial().ended(ipc.ReasonNotGranted)
}

// TestReloadWhileOpening: a socket whose bind takes long is judged by the policy that is in force when it is open, and
// counts under its grant.
func TestReloadWhileOpening(t *testing.T) {
	b := newBench(t, "destination = [\"10.77.0.0/16\"]\nsource = [\"10.77.0.1\", \"10.78.0.1\"]\n", guarded)
	c := b.hello()
	b.transport.DelayBinds(true)
	stays := c.post(ipc.TypeOpen, 1, openRequest("10.77.0.1:0"))
	goes := c.post(ipc.TypeOpen, 2, openRequest("10.78.0.1:0"))
	testenv.Eventually(t, patience, "the binds", func() bool { return b.server.Statistics().Grants[0].Sockets == 2 })
	c.must(c.ask(ipc.TypeSource, 0, &ipc.Source{Address: ipc.Address{Addr: netip.MustParseAddr("10.77.0.2").As16()}}), nil)
	b.reloadAs("others", "destination = [\"10.77.0.0/16\"]\nsource = [\"10.77.0.1\"]\n")
	b.transport.DelayBinds(false)
	for range 2 {
		switch m := c.next(); m.Seq {
		case stays:
			c.must(m, nil)
		case goes:
			c.refused(m, wsk.STATUS_ACCESS_DENIED, ipc.ReasonSourceAddress)
		default:
			t.Fatalf("%v, %d", m.Type, m.Seq)
		}
	}
	if n := b.grant("others").Sockets; n != 1 {
		t.Errorf("%d sockets of the new grant", n)
	}
	if one := c.send(1, "x", entry(1, "10.77.0.2:9"))[1]; one.Status != 0 {
		t.Errorf("%+v", one)
	}
}

// reloadAs puts a grant in force that has another name.
func (b *bench) reloadAs(name, grant string) {
	b.t.Helper()
	text := strings.Replace(policyHead, "\"tests\"", "\""+name+"\"", 1) + grant
	if err := b.policy.Reload("policy.toml", []byte(text), policy.Host{Units: true}); err != nil {
		b.t.Fatal(err)
	}
	b.server.PolicyChanged()
}

// grant is what is counted of a grant.
func (b *bench) grant(name string) service.GrantStatistics {
	b.t.Helper()
	for _, g := range b.server.Statistics().Grants {
		if g.Name == name {
			return g
		}
	}
	b.t.Fatalf("there is no grant %s", name)
	return service.GrantStatistics{}
}

// TestReloadToAnotherGrant: sockets that are open use up the grant that a reload gives to their session, with what they
// have, and its rate is theirs.
func TestReloadToAnotherGrant(t *testing.T) {
	b := newBench(t, limited("rate = \"1pps\"\nburst = 1\n"))
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	b.transport.SetMode(wsktest.Post)
	debt, another := entry(1, "10.77.0.2:9"), entry(2, "10.77.0.2:9")
	debt.Segment, another.Segment = 1, 1
	c.write(c.sendRequest(1, strings.Repeat("x", 60), debt, another)) // a minute's datagrams, and as many again
	send := c.seq
	b.pending(1)
	before := b.grant("tests").Usage
	b.reloadAs("others", generous)
	if now := b.grant("others").Usage; now != before {
		t.Errorf("%+v, and before %+v", now, before)
	}
	if left := b.grant("tests").Usage; left != (quota.Usage{}) {
		t.Errorf("left: %+v", left)
	}
	began := time.Now()
	testenv.Eventually(t, patience, "the other one to leave", func() bool { return len(b.transport.Datagrams()) == 120 })
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	b.transport.CompleteAll(wsk.STATUS_SUCCESS)
	c.completions(send)
	if sent := b.grant("others").Sent; sent != 2 {
		t.Errorf("%d are counted as sent", sent)
	}
}

// TestRevokedWhileGreeting: a client that is greeted and sent away at the same time is the business of two goroutines.
func TestRevokedWhileGreeting(t *testing.T) {
	b := newBench(t, generous)
	c := b.dial()
	testenv.Eventually(t, patience, "the session", func() bool { return b.server.Statistics().Sessions == 1 })
	c.post(ipc.TypeHello, 0, &ipc.Hello{MaxMessage: ipc.MaxMessage, Name: "somebody"})
	if err := b.policy.Reload("policy.toml", []byte("version = 1\n[interface.eth0]\n[interface.eth1]\n"), policy.Host{}); err != nil {
		t.Fatal(err)
	}
	b.server.PolicyChanged()
	c.ended(ipc.ReasonRevoked)
}
