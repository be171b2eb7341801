// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// mirror is a transport that allocates nothing. What a socket sends to its own address comes back to it, in one loan
// that is used again and again.
type mirror struct {
	events  wsk.Receiver
	local   netip.AddrPort
	loan    wsk.Datagram
	payload [64]byte
	silent  bool
}

func (m *mirror) OpenEndpoint(_ uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	m.events = events.(wsk.Receiver)
	return m, wsk.STATUS_SUCCESS
}

func (m *mirror) Bind(req wsk.BindRequest, done func(netip.AddrPort, wsk.NTSTATUS)) {
	m.local = netip.AddrPortFrom(req.Local.Addr(), 5000)
	done(m.local, wsk.STATUS_SUCCESS)
}

func (m *mirror) Send(op *wsk.SendOp) {
	c := op.Bufs[0].Cursor(0)
	n := copy(m.payload[:], c.Next(len(m.payload)))
	m.loan = wsk.Datagram{
		Payload: m.payload[:n], Source: wsk.Address{Addr: op.To.Addr, Port: op.To.Port}, Destination: op.To.Addr,
		IfIndex: 3, TTL: op.To.TTL, TOS: op.To.TOS, Lender: m,
	}
	op.Complete(wsk.STATUS_SUCCESS)
	if !m.silent {
		m.events.Receive(&m.loan)
	}
}

func (m *mirror) MTU(*wsk.Destination) (int, wsk.NTSTATUS) { return 1500, wsk.STATUS_SUCCESS }
func (m *mirror) Abort()                                   {}
func (m *mirror) Close(done func())                        { done() }
func (m *mirror) Configure(wsk.ReceiveOptions)             {}
func (m *mirror) Change(wsk.Membership) wsk.NTSTATUS       { return wsk.STATUS_SUCCESS }
func (m *mirror) Release(*wsk.Datagram)                    {}
func (m *mirror) Keep(*wsk.Datagram)                       {}

// A datagram allocates nothing in either direction, not even when a read has to wait, and neither does a deadline that
// is set for each.
func TestNoAllocations(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:5000", "[2001:db8::1]:5000"} {
		to := netip.MustParseAddrPort(addr)
		m := new(mirror)
		npi := capture(t, m)
		c := listen(t, npi, addr, netconn.Options{Control: netconn.ControlPacketInfo | netconn.ControlTTL | netconn.ControlTOS})
		d, err := netconn.Dial(capture(t, &mirror{}), "udp", netip.AddrPort{}, to, netconn.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		payload, buf, oob := make([]byte, 40), make([]byte, 64), make([]byte, 128)
		if _, err := c.WriteToUDPAddrPort(payload, to); err != nil {
			t.Fatal(err)
		}
		_, oobn, _, _, err := c.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			t.Fatal(err)
		}
		control := append([]byte(nil), oob[:oobn]...)
		ms := []netconn.Message{{Buffers: [][]byte{payload, payload}, Addr: c.LocalAddr()}, {Buffers: [][]byte{payload}, Addr: c.LocalAddr()}}
		for len(ms) < 300 {
			ms = append(ms, ms[len(ms)%2])
		}
		check := func(n int, err error) {
			if n != len(payload) || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		read := func() {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			check(n, err)
			if from != to {
				t.Fatalf("from %v", from)
			}
		}
		for name, f := range map[string]func(){
			"WriteToUDPAddrPort and ReadFromUDPAddrPort": func() {
				n, err := c.WriteToUDPAddrPort(payload, to)
				check(n, err)
				read()
			},
			"WriteMsgUDPAddrPort and ReadMsgUDPAddrPort": func() {
				n, _, err := c.WriteMsgUDPAddrPort(payload, control, to)
				check(n, err)
				n, _, _, _, err = c.ReadMsgUDPAddrPort(buf, oob)
				check(n, err)
			},
			"Write and Read": func() {
				n, err := d.Write(payload)
				check(n, err)
				n, err = d.Read(buf)
				check(n, err)
			},
			"deadlines": func() {
				c.SetReadDeadline(time.Now().Add(time.Hour))
				c.SetWriteDeadline(time.Now().Add(time.Hour))
				n, err := c.WriteToUDPAddrPort(payload, to)
				check(n, err)
				read()
			},
		} {
			if allocs := testing.AllocsPerRun(200, f); allocs != 0 {
				t.Errorf("%s of %s: %v allocations", name, addr, allocs)
			}
		}
		m.silent = true
		if allocs := testing.AllocsPerRun(200, func() {
			if n, err := c.WriteBatch(ms, 0); n != len(ms) || err != nil {
				t.Fatal(n, err)
			}
		}); allocs != 0 {
			t.Errorf("WriteBatch of %s: %v allocations", addr, allocs)
		}
		// A reader that waits: the write comes from the other goroutine.
		m.silent = false
		reads, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for range reads {
				read()
				done <- struct{}{}
			}
		}()
		if allocs := testing.AllocsPerRun(200, func() {
			reads <- struct{}{}
			n, err := c.WriteToUDPAddrPort(payload, to)
			check(n, err)
			<-done
		}); allocs != 0 {
			t.Errorf("a read of %s that waits: %v allocations", addr, allocs)
		}
		close(reads)
		<-done
	}
}
