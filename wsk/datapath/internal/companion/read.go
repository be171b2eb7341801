// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
)

// reader reads a kernel socket: what the XDP program passed (reassembled fragments, options, loopback, other
// interfaces), all that comes where there is no program, and ICMP errors. It hands everything on at once, so the bound
// on what waits is the kernel's receive buffer and the WSK socket's. All its fields belong to whoever has the duty.
type reader struct {
	sockets *Sockets
	socket  *socket
	out     receive.Delivery
	try     func(fd uintptr) bool // attempt, one closure for all rounds
	batch   *batch                // while there is something to read
	n       int
}

// startReading begins to read a socket. The goroutine ends when the socket is closed.
func (s *Sockets) startReading(k *socket) {
	r := &reader{sockets: s, socket: k}
	r.try = r.attempt
	r.out.Duty = receive.NewDuty(r, &s.host.Hub.ByCaller)
	s.host.GoRun(r.out.Duty.Run)
}

// Round implements receive.Source.
func (r *reader) Round(a *receive.Attendant) (more bool) {
	if !r.out.IsEmpty() { // an attendant has left it
		r.out.Flush()
	}
	if !a.MayWait() {
		return true
	}
	more = r.read()
	a.Waited()
	n := r.n
	r.dispatch()
	a.Deliver(&r.out, n)
	return more
}

// Interrupt implements receive.Source.
func (r *reader) Interrupt() { r.socket.file.SetReadDeadline(time.Unix(1, 0)) }

// MayAttend implements receive.Source.
func (r *reader) MayAttend(*receive.Sink) bool { return true }

// unpollablePause is the time between looks at a socket that the runtime's poller refuses to wait on: until its next
// event, so the pause is what a datagram may be late then.
const unpollablePause = time.Millisecond

// read waits until attempt has taken something, or it is interrupted. It is false when the socket is closed.
//
// An ICMP error that comes while the send buffer is full is an event with nothing but EPOLLERR, which the runtime
// takes for a descriptor that can't be polled (src/runtime/netpoll_epoll.go): it refuses to wait until there is
// another event.
func (r *reader) read() bool {
	for {
		err := r.socket.raw.Read(r.try)
		if err == nil {
			return true
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return r.socket.file.SetReadDeadline(time.Time{}) == nil
		}
		took := false
		if r.socket.raw.Control(func(fd uintptr) { took = r.try(fd) }) != nil {
			return false
		}
		if took {
			return true
		}
		time.Sleep(unpollablePause)
	}
}

// attempt takes a batch off the socket, or reports false when there is nothing.
func (r *reader) attempt(fd uintptr) bool {
	host := r.sockets.host
	if r.batch == nil {
		r.batch = host.batches.get(&host.Hub.Buffers)
	}
	n, errno := r.batch.receive(int(fd))
	r.n = n
	// An entry in the error queue also shows as the error of whatever call comes next.
	if errno == 0 || r.takeError(int(fd)) || errno != unix.EAGAIN {
		return true
	}
	host.batches.put(r.batch)
	r.batch = nil
	return false
}

// takeError takes one entry off the error queue (ip(7), IP_RECVERR) and reports whether there was one.
func (r *reader) takeError(fd int) bool {
	if r.batch.receiveError(fd) != 0 {
		return false
	}
	s := r.sockets
	var a ancillary
	a.parse(r.batch.controlOf(0))
	from, ok := kernelAddress(r.batch.name(0))
	if !ok || !a.failed {
		return true
	}
	if a.errno == uint32(unix.EMSGSIZE) {
		s.narrowed(ipaddr.Addr(from.Addr))
	}
	if !a.fromICMP() {
		return true
	}
	s.host.Stats.ICMPErrors.Add(1)
	if !s.options.Load().Errors {
		return true
	}
	c := s.host.Hub.Buffers.Get(0)
	c.Err = a.err
	d := c.Datagram(0)
	d.Err, d.Source, d.Destination, d.IfIndex = &c.Err, from, a.destination, a.ifindex
	r.out.Add(s.sink, d)
	return true
}

// dispatch sorts the batch that attempt read.
func (r *reader) dispatch() {
	s := r.sockets
	for i := range r.n {
		var a ancillary
		a.parse(r.batch.controlOf(i))
		from, ok := kernelAddress(r.batch.name(i))
		if !ok || !s.sink.HasReceiver() || s.host.Hub.Buffers.Full() {
			s.host.Stats.Discarded.Add(1)
			continue
		}
		d := r.lend(i)
		d.Source, d.Destination, d.IfIndex, d.TTL, d.TOS = from, a.destination, a.ifindex, a.ttl, a.tos
		d.OverIPv6 = a.overIPv6
		to := s.sink
		switch {
		case a.overIPv6 && ipaddr.Is4(&a.destination):
			// An IPv6 address of the host that is v4-mapped: what is bound to the IPv4 address is another matter.
		case ipaddr.Load(&a.destination).IsMulticast():
			d.Cast = wsk.Multicast
		case s.host.Routes.IsBroadcast(ipaddr.Addr(a.destination)):
			d.Cast = wsk.Broadcast
		default:
			// Among several sockets on the port the kernel's choice need not be ours.
			if owner := s.host.Hub.Owner(s.local.Port(), &a.destination, a.ifindex); owner != nil {
				to = owner
			}
		}
		s.host.Stats.Received.Add(1)
		if int(a.segment) > 0 && len(d.Payload) > int(a.segment) {
			r.coalesced(to, d, int(a.segment))
			continue
		}
		r.out.Add(to, d)
	}
	r.n = 0
}

// lend takes the payload of message i out of the batch.
func (r *reader) lend(i int) *wsk.Datagram {
	b, buffers := r.batch, &r.sockets.host.Hub.Buffers
	n := b.length(i)
	head := b.bufs[i]
	switch {
	case n <= receive.SmallBuffer: // may lie in the socket's buffer for long, and is not to occupy more than it needs
		c := buffers.Get(n)
		copy(c.Bytes, head.Bytes[:n])
		return c.Datagram(n)
	case n <= len(head.Bytes):
		b.arm(i, buffers.Get(receive.FrameBuffer))
		return head.Datagram(n)
	}
	c := buffers.Get(n)
	at := copy(c.Bytes, head.Bytes)
	copy(c.Bytes[at:], b.tail(i, n-at))
	return c.Datagram(n)
}

// coalesced delivers what the kernel has put together from segments of a flow, cut down to what the endpoint asked
// for: one that did not ask, or no longer does, gets them one by one.
func (r *reader) coalesced(to *receive.Sink, d *wsk.Datagram, segment int) {
	most := int(r.sockets.options.Load().MaxCoalesced)
	if segment <= 0xffff && len(d.Payload) <= most {
		d.Segment = uint16(segment)
		r.out.Add(to, d)
		return
	}
	step := max(most/segment, 1) * segment
	whole := d.Payload
	for at := 0; at < len(whole); at += step {
		d.Payload = whole[at:min(at+step, len(whole))]
		if d.Segment = 0; len(d.Payload) > segment {
			d.Segment = uint16(segment)
		}
		r.out.Add(to, r.sockets.host.Hub.Buffers.CopyOf(d))
	}
	d.Release()
}
