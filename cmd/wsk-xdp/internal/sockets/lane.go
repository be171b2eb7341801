// SPDX-License-Identifier: Apache-2.0

// Package sockets sends datagrams by the kernel's own UDP sockets, in each of the ways that it has, so that they can be
// compared with AF_XDP: a call for each (udp), a vector of them in a call (sendmmsg), and one buffer that the kernel cuts
// (gso: UDP_SEGMENT). A datagram is completed when the call that sent it returns.
//
//	lane: flow, size, stamp ──► way: one system call ──► what the kernel says ──► lane: counts, error queue
//
// A source port is a socket, unconnected. What comes in is dropped by a filter; ICMP errors are read from the error queue,
// and a call that one of them has failed is made again.
package sockets

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// way is how the datagrams of a call are handed over. They are one behind the other in body, each of its size.
type way interface {
	// most is how many datagrams a call takes.
	most(batch int) int
	// send returns how many datagrams the kernel has taken. An error is about the first of those that it has not; whole is
	// whether it is about all of them.
	send(fd int, to *address, body []byte, sizes []int) (n int, whole bool, err error)
}

// Lane is a blast.Lane over sockets.
type Lane struct {
	way     way
	sockets []int // descriptors
	locals  []netip.AddrPort
	flows   []flow
	order   *blast.Order
	numbers *blast.Numbers
	icmp    *icmp.Listener

	payload []byte
	sizes   []int // of datagrams, in turn
	size    int   // the next of them
	flow    int   // whose turn it is, -1 for that of the next one
	body    []byte
	burst   []int // sizes of a call
}

// flow is where datagrams go to, and the socket that they leave from.
type flow struct {
	socket int
	to     address
}

// tries is how often a call is made that fails with the ICMP error of a datagram before.
const tries = 8

// Send makes a call for one flow, or with a way that takes one datagram a call several of them.
func (l *Lane) Send(n uint64, now time.Time) (out blast.Outcome, err error) {
	out.Timed = true
	for out.Submitted < n && !out.Full {
		l.call(int(n-out.Submitted), now, &out)
		if len(l.burst) > 1 {
			return out, nil // a call is a burst
		}
	}
	return out, nil
}

// call sends up to n datagrams of one flow.
func (l *Lane) call(n int, now time.Time, out *blast.Outcome) {
	if l.flow < 0 {
		l.flow = l.order.Next()
	}
	n = min(n, len(l.burst))
	f := &l.flows[l.flow]
	end := 0
	for i := range n {
		size := l.sizes[(l.size+i)%len(l.sizes)]
		if len(l.sizes) > 1 {
			copy(l.body[end:], l.payload[:size]) // what is there began elsewhere
		}
		l.numbers.Put(l.body[end:end+size], uint64(l.flow), now)
		l.burst[i], end = size, end+size
	}
	sent, whole, err := l.way.send(l.sockets[f.socket], &f.to, l.body[:end], l.burst[:n])
	for again := 0; err != nil && sent == 0 && again < tries && hear(l.sockets[f.socket], l.icmp); again++ {
		sent, whole, err = l.way.send(l.sockets[f.socket], &f.to, l.body[:end], l.burst[:n])
	}
	failed := 0
	switch {
	case err == nil:
	case errors.Is(err, unix.EAGAIN):
		out.Full = true
	case sent == 0 && whole:
		failed = n
	case sent == 0:
		failed = 1
	}
	for _, size := range l.burst[:sent] {
		out.Payload += uint64(size)
	}
	for range n - sent - failed {
		l.numbers.Back(uint64(l.flow))
	}
	out.Submitted += uint64(sent + failed)
	out.Completed += uint64(sent)
	if failed > 0 {
		out.Failed, out.Status = out.Failed+uint64(failed), statusOf(err)
	}
	if l.size = (l.size + sent + failed) % len(l.sizes); sent+failed > 0 {
		l.flow = -1
	}
}

// InFlight is none: a datagram is the kernel's when its call returns.
func (l *Lane) InFlight() int { return 0 }

// Locals are what the sockets are bound to.
func (l *Lane) Locals() []netip.AddrPort { return l.locals }

// Sent is how many numbers were given out to each stream, nil where there are none.
func (l *Lane) Sent() []uint64 { return l.numbers.Sent() }

// ICMPErrors is what came back, most messages first. It waits for an answer to what was sent last, for a bounded time,
// unless one came already. It is never nil.
func (l *Lane) ICMPErrors(ctx context.Context) []icmp.Error {
	l.listen(ctx, func() bool { return len(l.icmp.Errors()) > 0 })
	return l.icmp.Errors()
}

// listen reads what comes back as long as the answer to what was sent last may take, until that is enough.
func (l *Lane) listen(ctx context.Context, enough func() bool) {
	const answerTime, look = 50 * time.Millisecond, 5 * time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	for end := time.Now().Add(answerTime); ; {
		for _, fd := range l.sockets {
			hear(fd, l.icmp)
		}
		if enough() || time.Now().After(end) || ctx.Err() != nil {
			return
		}
		timer.Reset(look)
		<-timer.C
	}
}

// Warmed says that what was sent until now was to warm up: what has come back about it is no error of what follows, and neither is
// what comes later and quotes a stamp of it. Where datagrams bear none, it waits for the last ones.
func (l *Lane) Warmed(ctx context.Context) {
	l.listen(ctx, func() bool { return false })
	l.icmp.Begin()
}

// EarlyICMPErrors is what came back about what was sent before Warmed, most messages first. It is never nil.
func (l *Lane) EarlyICMPErrors() []icmp.Error { return l.icmp.Early() }

// Close closes the sockets.
func (l *Lane) Close() error {
	var errs []error
	for _, fd := range l.sockets {
		errs = append(errs, unix.Close(fd))
	}
	l.sockets = nil
	return errors.Join(errs...)
}

// statusOf is the status for what the kernel has said.
func statusOf(err error) wsk.NTSTATUS {
	switch {
	case errors.Is(err, unix.EMSGSIZE):
		return wsk.STATUS_INVALID_BUFFER_SIZE
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.ENETDOWN):
		return wsk.STATUS_NETWORK_UNREACHABLE
	case errors.Is(err, unix.EHOSTUNREACH):
		return wsk.STATUS_HOST_UNREACHABLE
	case errors.Is(err, unix.ECONNREFUSED):
		return wsk.STATUS_PORT_UNREACHABLE
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return wsk.STATUS_ACCESS_DENIED // a firewall
	case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		return wsk.STATUS_INSUFFICIENT_RESOURCES
	case errors.Is(err, unix.EIO), errors.Is(err, unix.EOPNOTSUPP):
		return wsk.STATUS_NOT_SUPPORTED
	}
	return wsk.STATUS_INVALID_PARAMETER
}
