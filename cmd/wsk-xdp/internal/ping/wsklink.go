// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"context"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Hears is what a WSK socket's datagrams are handed to. Answers come from where the pings went; all else is foreign.
func Hears(t *Tally, from netip.AddrPort) func(*wsk.DatagramIndication) {
	from = plain(from)
	return func(d *wsk.DatagramIndication) {
		now := time.Now()
		if remote, ok := d.RemoteAddress.AddrPort(); !ok || plain(remote) != from {
			t.foreign()
			return
		}
		length := int(d.Buffer.Length)
		c := d.Buffer.Cursor(0)
		b := c.Next(length)
		for len(b) < length { // in several pieces
			piece := c.Next(length - len(b))
			if len(piece) == 0 {
				break
			}
			b = append(b[:len(b):len(b)], piece...)
		}
		t.Take(b, length, now)
	}
}

// plain is an endpoint without its zone: the socket's interface is known.
func plain(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// inFlight is how many IRPs may be out at once.
const inFlight = 2048

// WSK is a link of a WSK socket, an IRP for each ping.
type WSK struct {
	socket  *wsk.Socket
	remote  wsk.SOCKADDR
	control []byte
	isOver  func(wsk.NTSTATUS) bool
	free    chan *slot
	next    *slot // of Ready for Send

	asked time.Time // when isOver was asked; the sender's

	mu     sync.Mutex
	failed map[string]uint64
	last   wsk.NTSTATUS // of the last failure, STATUS_SUCCESS for none
	fresh  bool         // isOver was not asked about it
}

// slot is one IRP and its datagram. It is the sender's while it is free, and the provider's until its IRP completes.
type slot struct {
	link  *WSK
	irp   wsk.IRP
	stamp [stamp.Size]byte
	mdl   wsk.MDL
	buf   wsk.Buf
}

// NewWSK makes a link of a bound socket. All pings have the body, whose beginning the stamps are written over. isOver is
// asked about a send that failed, once a second at most: whether no other can succeed.
func NewWSK(socket *wsk.Socket, remote wsk.SOCKADDR, control, body []byte, isOver func(wsk.NTSTATUS) bool) *WSK {
	l := &WSK{
		socket: socket, remote: remote, control: control, isOver: isOver, free: make(chan *slot, inFlight), failed: map[string]uint64{},
	}
	var tail *wsk.MDL
	if len(body) > stamp.Size {
		tail = wsk.AllocateMDL(body[stamp.Size:])
	}
	slots := make([]slot, inFlight)
	for i := range slots {
		s := &slots[i]
		s.link = l
		s.mdl.Init(s.stamp[:])
		s.mdl.Next = tail
		s.buf = wsk.Buf{Mdl: &s.mdl, Length: uintptr(len(body))}
		l.free <- s
	}
	return l
}

// Ready waits for an IRP that is not out.
func (l *WSK) Ready(ctx context.Context, longest time.Duration) bool {
	select {
	case l.next = <-l.free:
		return true
	default:
	}
	limit := time.NewTimer(longest)
	defer limit.Stop()
	select {
	case l.next = <-l.free:
		return true
	case <-limit.C:
	case <-ctx.Done():
	}
	return false
}

// Send passes the IRP.
func (l *WSK) Send(b []byte) {
	s := l.next
	copy(s.stamp[:], b)
	s.irp.Reuse(wsk.STATUS_SUCCESS)
	s.irp.SetCompletionRoutine(completed, s, true, true, true)
	l.socket.SendTo(&s.buf, 0, l.remote, l.control, &s.irp)
}

// completed is the completion routine of every slot. It keeps the IRP, which is used again.
func completed(irp *wsk.IRP, context any) wsk.NTSTATUS {
	s := context.(*slot)
	l := s.link
	if status := irp.IoStatus.Status; status != wsk.STATUS_SUCCESS {
		l.mu.Lock()
		l.failed[status.String()]++
		l.last, l.fresh = status, true
		l.mu.Unlock()
	}
	l.free <- s // has room for all
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// Over asks about the last failure, if there is one that it has not asked about.
func (l *WSK) Over() bool {
	l.mu.Lock()
	status, ask := l.last, l.fresh && time.Since(l.asked) >= time.Second
	if ask {
		l.fresh = false
	}
	l.mu.Unlock()
	if !ask {
		return false
	}
	l.asked = time.Now()
	return l.isOver(status)
}

// Failed are the IRPs that did not end in success, by status.
func (l *WSK) Failed() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.failed)
}

// LastFailure is how the last IRP ended that did not end in success, STATUS_SUCCESS where there is none.
func (l *WSK) LastFailure() wsk.NTSTATUS {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// UnderWay is how many IRPs are out.
func (l *WSK) UnderWay() int { return inFlight - len(l.free) }
