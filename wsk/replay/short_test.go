// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// short is what the small clients have in common: registration and blocking calls.
type short struct {
	t            *testing.T
	audit        *audit
	registration wsk.Registration
	npi          wsk.ProviderNPI
}

func newShort(t *testing.T, r *rig) *short {
	t.Helper()
	c := &short{t: t, audit: &r.audit}
	r.register(&c.registration, &c.npi)
	return c
}

func (c *short) finish() {
	wsk.ReleaseProviderNPI(&c.registration)
	wsk.Deregister(&c.registration)
}

// wait makes a call and waits for its event.
func (c *short) wait(what string, f func(irp *wsk.IRP) wsk.NTSTATUS) wsk.IOStatusBlock {
	c.t.Helper()
	irp, done := wsk.AllocateIRP(), newEvent()
	call := c.audit.arm(irp, what, setEvent, done)
	if call.returns(f(irp)) == wsk.STATUS_PENDING {
		done.wait(c.t, what)
	}
	return irp.IoStatus
}

func (c *short) open(local netip.AddrPort) *wsk.Socket {
	c.t.Helper()
	family := uint16(wsk.AF_INET)
	if local.Addr().Is6() {
		family = wsk.AF_INET6
	}
	s := c.wait("WskSocket", func(irp *wsk.IRP) wsk.NTSTATUS {
		return c.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	}).Socket
	end := c.wait("WskBind", func(irp *wsk.IRP) wsk.NTSTATUS { return s.Bind(wsk.NewSockaddr(local), 0, irp) })
	if end.Status != wsk.STATUS_SUCCESS {
		c.t.Fatalf("WskBind: %v", end.Status)
	}
	return s
}

func (c *short) close(s *wsk.Socket) {
	c.t.Helper()
	if end := c.wait("WskCloseSocket", s.Close); end.Status != wsk.STATUS_SUCCESS || end.Information != 0 {
		c.t.Errorf("WskCloseSocket: %v, Information %d", end.Status, end.Information)
	}
}

func (c *short) send(s *wsk.Socket, data []byte, to wsk.SOCKADDR) wsk.NTSTATUS {
	c.t.Helper()
	buf := &wsk.Buf{Mdl: wsk.AllocateMDL(data), Length: uintptr(len(data))}
	end := c.wait("WskSendTo", func(irp *wsk.IRP) wsk.NTSTATUS { return s.SendTo(buf, 0, to, nil, irp) })
	if end.Status.Success() && end.Information != uintptr(len(data)) {
		c.t.Errorf("WskSendTo: Information %d, want %d", end.Information, len(data))
	}
	return end.Status
}

// vnic sends again from the completion of a send, with the same IRP and buffer, until it has sent the wanted number.
type vnic struct {
	audit  *audit
	socket *wsk.Socket
	irp    wsk.IRP
	buf    wsk.Buf
	data   []byte
	to     wsk.SOCKADDR
	sent   uint32
	limit  uint32
	done   chan wsk.NTSTATUS
}

func vnicSent(irp *wsk.IRP, context any) wsk.NTSTATUS {
	v := context.(*vnic)
	if status := irp.IoStatus.Status; status != wsk.STATUS_SUCCESS || v.sent == v.limit {
		v.done <- status
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	irp.Reuse(wsk.STATUS_SUCCESS)
	v.send()
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// send writes the number of the datagram into the buffer, which is the client's again, and passes it.
func (v *vnic) send() {
	binary.BigEndian.PutUint32(v.data, v.sent)
	v.sent++
	c := v.audit.arm(&v.irp, "WskSendTo", vnicSent, v)
	c.returns(v.socket.SendTo(&v.buf, 0, v.to, nil, &v.irp))
}

// TestVNIC: the stack does not grow, no datagram is lost or sent twice, and none has the bytes of the next one.
//
// Checklist items 17 and 21.
func TestVNIC(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		c := newShort(t, r)
		p := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(false), 0), false)
		v := &vnic{audit: &r.audit, socket: c.open(netip.MustParseAddrPort("0.0.0.0:0")), data: make([]byte, 600),
			to: wsk.NewSockaddr(p.addr), limit: 5_000, done: make(chan wsk.NTSTATUS, 1)}
		first, second := wsk.AllocateMDL(v.data[:201]), wsk.AllocateMDL(v.data[201:])
		first.Next = second
		v.buf = wsk.Buf{Mdl: first, Length: uintptr(len(v.data))}
		v.send()
		if status := take(t, "the last send", v.done); status != wsk.STATUS_SUCCESS {
			t.Fatal(status)
		}
		for i, got := range p.wait(int(v.limit)) {
			if n := binary.BigEndian.Uint32(got.data); n != uint32(i) {
				t.Fatalf("datagram %d is number %d", i, n)
			}
		}
		c.close(v.socket)
		c.finish()
	})
}

// within waits for d, to the microsecond, more exactly than any timer: so that its end meets the arrivals.
func (e event) within(d time.Duration) bool {
	for end := time.Now().Add(d); ; runtime.Gosched() {
		select {
		case <-e:
			return true
		default:
		}
		if !time.Now().Before(end) {
			return false
		}
	}
}

// receive is a blocking receive of libwsk with a timeout: a receive that has not ended by then is cancelled, and the
// wait goes on, since the IRP completes in any case. ControlLength 0 is passed to get the flags.
func (c *short) receive(s *wsk.Socket, room []byte, timeout time.Duration) (wsk.IOStatusBlock, wsk.SOCKADDR, uint32) {
	c.t.Helper()
	irp, done := wsk.AllocateIRP(), newEvent()
	from := make(wsk.SOCKADDR, wsk.SizeofSockaddrStorage)
	var controlLength, flags uint32
	buf := wsk.Buf{Mdl: wsk.AllocateMDL(room), Length: uintptr(len(room))}
	call := c.audit.arm(irp, "WskReceiveFrom", setEvent, done)
	if call.returns(s.ReceiveFrom(&buf, 0, from, &controlLength, nil, &flags, irp)) == wsk.STATUS_PENDING {
		if !done.within(timeout) {
			irp.Cancel()
			done.wait(c.t, "WskReceiveFrom after IoCancelIrp")
		}
	}
	return irp.IoStatus, from, flags
}

// TestLibwsk: receives time out again and again while a peer sends at its own pace. Each datagram comes once and in its
// order, whether the cancel or the datagram came first.
//
// Checklist items 19, 57 and 60.
func TestLibwsk(t *testing.T) {
	// The peer's kernel lets a datagram overtake those that it has kept for want of a neighbour.
	known := rigOptions{top: testenv.Topology{Neighbours: testenv.Static}}
	eachMode(t, known, func(t *testing.T, r *rig) {
		c := newShort(t, r)
		s := c.open(netip.MustParseAddrPort("0.0.0.0:7600"))
		p := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(false), 0), false)
		const total = 4_000
		at := netip.AddrPortFrom(r.a(false), 7600)
		credit := make(chan struct{}, 64) // no more under way than fit into a receive buffer
		for range cap(credit) {
			credit <- struct{}{}
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range uint32(total) {
				<-credit
				p.send(at, binary.BigEndian.AppendUint32(nil, i), sending{})
			}
		}()
		random := rand.New(rand.NewPCG(6, 7))
		timeouts, room := 0, make([]byte, 64)
		for next := uint32(0); next < total; {
			end, from, flags := c.receive(s, room, time.Duration(random.IntN(60))*time.Microsecond)
			switch end.Status {
			case wsk.STATUS_CANCELLED:
				timeouts++
				continue
			case wsk.STATUS_SUCCESS:
			default:
				t.Fatal(end.Status)
			}
			ap, _ := from.AddrPort()
			if n := binary.BigEndian.Uint32(room); n != next || end.Information != 4 || ap != p.addr || flags != 0 {
				t.Fatalf("number %d, %d bytes from %v, flags %#x; want number %d", n, end.Information, ap, flags, next)
			}
			next++
			if next+64 <= total {
				credit <- struct{}{}
			}
		}
		<-sent
		if timeouts == 0 {
			t.Error("nothing was cancelled")
		}
		c.close(s)
		c.finish()
		r.checkArrivals()
	})
}

// TestKsocket: blocking calls in which every argument is NULL that may be.
//
// Checklist item 57.
func TestKsocket(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		c := newShort(t, r)
		for _, six := range []bool{false, true} {
			p := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(six), 0), true)
			any := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
			if six {
				any = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
			}
			s := c.open(any)
			for i, n := range []int{1, 17, 1452} {
				data := pattern(n, i)
				if status := c.send(s, slices.Clone(data), wsk.NewSockaddr(p.addr)); status != wsk.STATUS_SUCCESS {
					t.Fatal(status)
				}
				room := make([]byte, 2000)
				end := c.wait("WskReceiveFrom", func(irp *wsk.IRP) wsk.NTSTATUS {
					return s.ReceiveFrom(&wsk.Buf{Mdl: wsk.AllocateMDL(room), Length: 2000}, 0, nil, nil, nil, nil, irp)
				})
				if end.Status != wsk.STATUS_SUCCESS || !bytes.Equal(room[:end.Information], data) {
					t.Errorf("%v, %d bytes, want %d", end.Status, end.Information, n)
				}
			}
			c.close(s)
		}
		c.finish()
		r.checkArrivals()
	})
}
