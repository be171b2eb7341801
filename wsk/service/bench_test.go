// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// instant is a transport that completes every operation at once and allocates nothing.
type instant struct{}

func (instant) OpenEndpoint(_ uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	receiver, _ := events.(wsk.Receiver)
	e := &instantEndpoint{receiver: receiver}
	select {
	case instants <- e:
	default:
	}
	return e, wsk.STATUS_SUCCESS
}

// instants are the endpoints that were opened, for a benchmark that wants datagrams to arrive.
var instants = make(chan *instantEndpoint, 64)

type instantEndpoint struct{ receiver wsk.Receiver }

func (*instantEndpoint) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	done(req.Local, wsk.STATUS_SUCCESS)
}
func (*instantEndpoint) MTU(*wsk.Destination) (int, wsk.NTSTATUS) { return 1500, wsk.STATUS_SUCCESS }
func (*instantEndpoint) Abort()                                   {}
func (*instantEndpoint) Close(done func())                        { done() }
func (*instantEndpoint) Send(op *wsk.SendOp)                      { op.Complete(wsk.STATUS_SUCCESS) }
func (*instantEndpoint) Configure(wsk.ReceiveOptions)             {}
func (*instantEndpoint) Change(wsk.Membership) wsk.NTSTATUS       { return wsk.STATUS_NOT_SUPPORTED }
func (e *instantEndpoint) Release(*wsk.Datagram)                  {}
func (e *instantEndpoint) Keep(*wsk.Datagram)                     {}
func (e *instantEndpoint) SendBatch(ops []*wsk.SendOp) {
	var c wsk.Completer
	for _, op := range ops {
		c.Complete(op, wsk.STATUS_SUCCESS)
	}
	c.Flush()
}

// lane is a client with a socket, and SENDs of 64 datagrams that are under way together.
func lane(t testing.TB, size, sends int) (round func()) {
	b := newBench(t, generous, func(c *service.Config) { c.Transport = instant{} })
	c := b.hello()
	c.open(1, "10.77.0.1:7000")
	return c.rounds(t, size, sends)
}

// rounds is SENDs of 64 datagrams that are under way together, of the client's socket 1.
func (c *client) rounds(t testing.TB, size, sends int) (round func()) {
	entries := make([]ipc.Entry, ipc.MaxBatch)
	for i := range entries {
		entries[i] = entry(uint32(i), "10.77.0.2:9")
	}
	msgs := make([][]byte, sends)
	for i := range msgs {
		msgs[i] = c.sendRequest(1, string(make([]byte, size)), entries...)
	}
	return func() {
		for _, msg := range msgs {
			c.write(msg)
		}
		for over := 0; over < len(msgs); { // one reply to each, or more on a machine that is busy
			n, err := c.conn.Read(c.buf)
			if err != nil || n < ipc.HeaderSize+8 {
				t.Fatalf("%d bytes, %v", n, err)
			}
			if binary.LittleEndian.Uint32(c.buf[ipc.HeaderSize+4:]) == 0 {
				over++
			}
		}
	}
}

// TestLaneAllocatesNothing: neither a SEND nor a RECV.
func TestLaneAllocatesNothing(t *testing.T) {
	round := lane(t, 64, 4)
	if n := testing.AllocsPerRun(200, round); n >= 1 {
		t.Errorf("%v allocations for 64 datagrams to send", n)
	}
	round = inbound(t, 64)
	if n := testing.AllocsPerRun(200, round); n >= 1 {
		t.Errorf("%v allocations for 64 datagrams that arrive", n)
	}
}

// inbound is a client with a socket, and 64 datagrams that arrive for it together.
func inbound(t testing.TB, size int) (round func()) {
	for len(instants) > 0 {
		<-instants
	}
	b := newBench(t, generous, func(c *service.Config) { c.Transport = instant{} })
	c := b.hello()
	c.open(1, "10.77.0.1:7000")
	<-instants // the server's own
	e := <-instants
	list := make([]wsk.Datagram, ipc.MaxBatch)
	payload := make([]byte, size)
	credit := (&ipc.Credit{Messages: 1}).Append(ipc.Header{Type: ipc.TypeCredit, Socket: 1}.Append(nil))
	return func() {
		for i := range list {
			list[i] = wsk.Datagram{
				Payload: payload, Source: wsk.Address{Addr: netip.MustParseAddr("10.77.0.2").As16(), Port: 9}, IfIndex: 1,
				TTL: 64, Lender: e,
			}
			if i > 0 {
				list[i-1].Next = &list[i]
			}
		}
		c.write(credit)
		e.receiver.Receive(&list[0])
		if n, err := c.conn.Read(c.buf); err != nil || n < ipc.MaxBatch*64 {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
}

// BenchmarkDaemonLane is the work of both sides for a datagram of a SEND of 64, without the transport's: one SEND at a time,
// where each has to wake the daemon and its reply the client, and 16.
func BenchmarkDaemonLane(b *testing.B) {
	for _, v := range []struct {
		name        string
		size, sends int
	}{{"64", 64, 1}, {"64/16", 64, ipc.MaxSends}, {"1472", 1472, 1}} {
		b.Run(v.name, func(b *testing.B) {
			round := lane(b, v.size, v.sends)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += v.sends * ipc.MaxBatch {
				round()
			}
		})
	}
}

// BenchmarkDaemonReceive is the same for datagrams that arrive 64 at a time.
func BenchmarkDaemonReceive(b *testing.B) {
	round := inbound(b, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += ipc.MaxBatch {
		round()
	}
}
