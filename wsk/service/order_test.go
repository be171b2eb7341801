// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// untimely is a transport whose endpoints die when it is least convenient.
type untimely struct {
	wsk.Transport
	wsk.AddressSource
	early bool // before the bind is done; else when the endpoint is closed, before and behind
}

func (u *untimely) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	ep, status := u.Transport.OpenEndpoint(family, events)
	if status != wsk.STATUS_SUCCESS {
		return nil, status
	}
	return &untimelyEndpoint{ep.(wsk.ReceivingEndpoint), ep.(wsk.InterfaceFinder), u, events}, status
}

type untimelyEndpoint struct {
	wsk.ReceivingEndpoint
	wsk.InterfaceFinder
	u      *untimely
	events wsk.EndpointEvents
}

func (e *untimelyEndpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	if e.u.early {
		e.events.Dead()
	}
	e.ReceivingEndpoint.Bind(req, done)
}

func (e *untimelyEndpoint) Close(done func()) {
	if !e.u.early {
		e.events.Dead()
	}
	e.ReceivingEndpoint.Close(func() {
		done()
		e.events.Dead()
	})
}

// noted checks what has come beside replies, behind a round trip more.
func (c *client) noted(want ...ipc.Type) {
	c.t.Helper()
	c.ask(ipc.TypeSource, 0, &ipc.Source{Address: ipc.Address{Addr: netip.MustParseAddr("10.77.0.2").As16()}})
	var got []ipc.Type
	for _, m := range c.notes {
		got = append(got, m.Type)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("notifications %v, want %v", got, want)
	}
	c.notes = nil
}

// TestDeadInOrder: a client hears of a death between the replies to OPEN and CLOSE, once, and otherwise not at all,
// whenever the device goes.
func TestDeadInOrder(t *testing.T) {
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprint("early=", early), func(t *testing.T) {
			b := newBench(t, generous, func(c *service.Config) {
				c.Transport = &untimely{c.Transport, c.Transport.(wsk.AddressSource), early}
			})
			c := b.hello()
			if m := c.first(ipc.TypeOpen, 1, openRequest("10.77.0.1:5000")); m.Type != ipc.TypeOpen.Reply() {
				t.Fatalf("%v is the first that comes of a socket", m.Type)
			}
			if early {
				c.noted(ipc.TypeDead)
			} else {
				c.noted()
			}
			c.refused(c.ask(ipc.TypeOpen, 2, openRequest("10.77.0.1:5000")), wsk.STATUS_ADDRESS_ALREADY_EXISTS, ipc.ReasonPortInUse)
			c.noted() // of a socket that never was
			c.must(c.ask(ipc.TypeClose, 1, nil), nil)
			c.noted() // of one that is no more
		})
	}
}

// first posts a request and is the very next message.
func (c *client) first(typ ipc.Type, socket uint32, body appender) message {
	c.t.Helper()
	c.post(typ, socket, body)
	return c.next()
}

// TestReloadInOrder: whatever a reload makes of sockets that are just being opened, a client that numbers them anew hears
// of each only while it is open.
func TestReloadInOrder(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			grant := generous
			if i%2 == 0 {
				grant = "destination = [\"10.0.0.0/8\"]\nsource = [\"10.78.0.1\"]\n"
			}
			if err := b.policy.Reload("policy.toml", []byte(policyHead+grant), policy.Host{Units: true}); err != nil {
				t.Error(err)
				return
			}
			b.server.PolicyChanged()
		}
	}()
	dead := 0
	for range 500 {
		m := c.first(ipc.TypeOpen, 1, openRequest("10.77.0.1:0"))
		if m.Type != ipc.TypeOpen.Reply() {
			t.Fatalf("%v is the first that comes of a socket", m.Type)
		}
		if m.Status != 0 {
			continue
		}
		for seq := c.post(ipc.TypeClose, 1, nil); ; {
			m := c.next()
			if m.Seq == seq {
				break
			}
			if m.Type != ipc.TypeDead || m.Socket != 1 {
				t.Fatalf("%v", m.Type)
			}
			dead++
		}
	}
	close(stop)
	<-stopped
	t.Logf("%d of 500 sockets have lost their address while they were open", dead)
}

// TestLateHello: who says HELLO when the server is about to stop, or the policy grants nothing any more, is told so.
func TestLateHello(t *testing.T) {
	late := func(c *client) {
		c.must(c.ask(ipc.TypeHello, 0, &ipc.Hello{Features: allFeatures, MaxMessage: ipc.MaxMessage}), new(ipc.Welcome))
		for _, want := range []ipc.Type{ipc.TypeAddresses, ipc.TypeGoodbye} {
			if m := c.note(); m.Type != want {
				t.Errorf("%v, want %v", m.Type, want)
			}
		}
	}
	b := newBench(t, generous)
	c := b.dial()
	testenv.Eventually(t, patience, "the session", func() bool { return b.server.Statistics().Sessions == 1 })
	if err := b.policy.Reload("policy.toml", []byte("version = 1\n[interface.eth0]\n[interface.eth1]\n"), policy.Host{Units: true}); err != nil {
		t.Fatal(err)
	}
	b.server.PolicyChanged()
	late(c)
	c.ended(ipc.ReasonRevoked)

	b = newBench(t, generous)
	c = b.dial()
	testenv.Eventually(t, patience, "the session", func() bool { return b.server.Statistics().Sessions == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- b.server.Shutdown(t.Context()) }()
	testenv.Eventually(t, patience, "the socket to be gone", func() bool {
		conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: b.path, Net: "unixpacket"})
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	late(c)
	c.ended(ipc.ReasonDraining)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
