// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

func arrival(from, to, payload string) wsktest.Arrival {
	return wsktest.Arrival{
		From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to), IfIndex: 1, TTL: 61, TOS: 0x28, Payload: []byte(payload),
	}
}

// recv waits for RECV messages until n records have come.
func (c *client) recv(socket uint32, n int) []ipc.Received {
	c.t.Helper()
	var all []ipc.Received
	for len(all) < n {
		m := c.note()
		if m.Type != ipc.TypeRecv || m.Socket != socket {
			c.t.Fatalf("%v of socket %d", m.Type, m.Socket)
		}
		r := new(ipc.Recv)
		c.must(m, r)
		all = append(all, r.Records()...)
	}
	return all
}

func (c *client) credit(socket, n uint32) {
	c.t.Helper()
	c.write((&ipc.Credit{Messages: n}).Append(ipc.Header{Type: ipc.TypeCredit, Socket: socket}.Append(nil)))
}

// TestReceive: what arrives comes as it is, at once where there is credit, and later where it comes.
func TestReceive(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	local := c.open(1, "10.77.0.1:7000")
	b.transport.Arrive(arrival("10.77.0.2:9", local.String(), "before any credit"))
	c.credit(1, 2)
	b.transport.Arrive(arrival("10.77.0.2:9", local.String(), "after it"))
	got := c.recv(1, 2)
	if string(got[0].Payload) != "before any credit" || string(got[1].Payload) != "after it" {
		t.Errorf("%q, %q", got[0].Payload, got[1].Payload)
	}
	r := got[1].Record
	want := ipc.Record{
		Length: 8, Source: netip.MustParseAddr("10.77.0.2").As16(), Destination: netip.MustParseAddr("10.77.0.1").As16(),
		IfIndex: 1, Port: 9, TTL: 61, TOS: 0x28,
	}
	if r != want {
		t.Errorf("%+v\nwant %+v", r, want)
	}
}

// TestReceiveWithoutCredit: the buffer bounds what is kept, and the rest is counted.
func TestReceiveWithoutCredit(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	local := c.open(1, "10.77.0.1:7000")
	c.must(c.ask(ipc.TypeConfigure, 1, &ipc.Configure{BufferBytes: 64 << 10}), nil)
	payload := strings.Repeat("x", 1000)
	const sent = 200
	for range sent {
		b.transport.Arrive(arrival("10.77.0.2:9", local.String(), payload))
	}
	var dropped, received uint64
	testenv.Eventually(t, patience, "all datagrams are counted", func() bool {
		g := b.server.Statistics().Grants[0]
		dropped, received = g.DroppedFull, g.Received
		return dropped+received == sent
	})
	if received < 40 || received > 64 {
		t.Errorf("%d datagrams of 1000 bytes are kept in 65536", received)
	}
	c.credit(1, ipc.MaxCredit)
	c.recv(1, int(received))
	b.transport.Arrive(arrival("10.77.0.2:9", local.String(), "new"))
	if got := c.recv(1, 1); string(got[0].Payload) != "new" {
		t.Errorf("%q", got[0].Payload)
	}
	c.credit(1, ipc.MaxCredit)
	c.ended(ipc.ReasonState)
}

// TestReceiveMemory: what a socket receives with is its grant's memory, and one that has little of it receives all the
// same.
func TestReceiveMemory(t *testing.T) {
	for _, tt := range []struct {
		limit string
		want  int64
	}{{"256MiB", ipc.MaxMessage}, {"64KiB", 16 << 10}} {
		b := newBench(t, strings.Replace(generous, "256MiB", tt.limit, 1))
		c := b.hello()
		local := c.open(1, "10.77.0.1:7000")
		c.credit(1, 10)
		c.must(c.ask(ipc.TypeMTU, 1, &ipc.Path{To: entry(0, "10.77.0.2:9")}), nil) // the credit has come before it
		for range 3 {
			b.transport.Arrive(arrival("10.77.0.2:9", local.String(), "x"))
			c.recv(1, 1)
		}
		testenv.Eventually(t, patience, "the memory to be counted", func() bool {
			return b.server.Statistics().Grants[0].Memory == tt.want
		})
	}
}

// TestReceivePolicy: whom the grant does not name is not heard.
func TestReceivePolicy(t *testing.T) {
	b := newBench(t, "destination = [\"10.77.0.2:9\"]\nmulticast = [\"239.1.0.0/16\"]\n")
	c := b.hello()
	local := c.open(1, "10.77.0.1:0")
	c.credit(1, 10)
	for _, from := range []string{"10.77.0.3:9", "10.77.0.2:10", "10.77.0.1:9", "10.77.0.2:9"} {
		b.transport.Arrive(arrival(from, local.String(), from))
	}
	if got := c.recv(1, 1); string(got[0].Payload) != "10.77.0.2:9" {
		t.Errorf("heard %q", got[0].Payload)
	}
	if n := b.server.Statistics().Grants[0].DroppedPolicy; n != 3 {
		t.Errorf("%d refused", n)
	}
	join := func(group string) message {
		return c.ask(ipc.TypeMembership, 1, &ipc.Membership{Group: netip.MustParseAddr(group).As16(), IfIndex: 1})
	}
	c.must(join("239.1.2.3"), nil)
	c.refused(join("239.2.2.3"), wsk.STATUS_ACCESS_DENIED, ipc.ReasonMulticast)
}

// TestJoinWhatIsAllowed: a group is joined on the interface that the policy was asked about, whatever else the request
// names.
func TestJoinWhatIsAllowed(t *testing.T) {
	b := newBench(t, "destination = [\"10.0.0.0/8\"]\nmulticast = [\"239.1.0.0/16\"]\ninterface = [\"eth0\"]\n")
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	m := ipc.Membership{
		Group: netip.MustParseAddr("239.1.2.3").As16(), Local: netip.MustParseAddr("10.77.0.1").As16(), IfIndex: 2,
	}
	c.must(c.ask(ipc.TypeMembership, 1, &m), nil)
	m.Change, m.Local = ipc.LeaveGroup, [16]byte{}
	if got := wsk.NTSTATUS(c.ask(ipc.TypeMembership, 1, &m).Status); got != wsk.STATUS_NOT_FOUND {
		t.Errorf("leaving on eth1: %v", got)
	}
	m.Local = netip.MustParseAddr("10.77.0.1").As16()
	c.must(c.ask(ipc.TypeMembership, 1, &m), nil)
	m.Change, m.IfIndex, m.Local = ipc.JoinGroup, 1, netip.MustParseAddr("10.78.0.1").As16()
	c.refused(c.ask(ipc.TypeMembership, 1, &m), wsk.STATUS_ACCESS_DENIED, ipc.ReasonInterface)
}

// TestSlowReader: a client that asks for more than its socket takes gets it as it reads, and keeps nobody, its own replies
// neither.
func TestSlowReader(t *testing.T) {
	b := newBench(t, generous)
	c, other := b.hello(), b.hello()
	local := c.open(1, "10.77.0.1:7000")
	other.open(1, "10.77.0.1:0")
	c.must(c.ask(ipc.TypeConfigure, 1, &ipc.Configure{BufferBytes: 16 << 20}), nil)
	c.credit(1, 500)
	const size, many = 60000, 200
	payload := strings.Repeat("x", size)
	for range many {
		b.transport.Arrive(arrival("10.77.0.2:9", local.String(), payload))
	}
	for i := range uint32(10) {
		if one := other.send(1, "x", entry(i, "10.77.0.2:9"))[i]; one.Status != 0 {
			t.Errorf("%+v", one)
		}
	}
	c.write(c.sendRequest(1, "x", entry(1, "10.77.0.2:9")))
	testenv.Eventually(t, patience, "the SEND to be done", func() bool { return b.server.Statistics().Grants[0].Sent == 11 })
	if done := c.completions(c.seq); done[1].Status != 0 {
		t.Errorf("%+v", done[1])
	}
	for got := 0; got < many; {
		m := c.note()
		r := new(ipc.Recv)
		c.must(m, r)
		got += len(r.Records())
	}
}
