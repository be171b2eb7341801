// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Header is what the headers of a kernel socket's datagrams say, and where they leave.
type Header struct {
	Source       netip.AddrPort // an invalid address, or port 0: the kernel's choice
	TTL          int            // 0: the system's
	TOS          int            // -1: the system's
	Interface    string         // empty: the route's
	DontFragment bool
}

// UDP is a link of a kernel socket.
type UDP struct {
	conn *net.UDPConn
	is4  bool
	body []byte // of the ping that is sent; the sender's
	icmp *icmp.Listener
	done chan struct{}

	mu     sync.Mutex
	failed map[string]uint64
}

// OpenUDP connects a socket in the namespace. What comes back goes to take.
func OpenUDP(ns *netns.NS, to netip.AddrPort, h Header, body []byte, take func([]byte, int, time.Time)) (*UDP, error) {
	l := &UDP{
		is4: to.Addr().Is4(), body: append([]byte(nil), body...), icmp: icmp.NewListener(), done: make(chan struct{}), failed: map[string]uint64{},
	}
	var err error
	if l.conn, err = dial(ns, to, h); err != nil {
		return nil, err
	}
	go l.read(take)
	return l, nil
}

// dial connects a socket in the namespace.
func dial(ns *netns.NS, to netip.AddrPort, h Header) (conn *net.UDPConn, err error) {
	network, is4 := "udp6", to.Addr().Is4()
	if is4 {
		network = "udp4"
	}
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return h.set(c, is4) }}
	if h.Source.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(h.Source)
	}
	err = ns.Do(func() error {
		c, err := d.DialContext(context.Background(), network, to.String())
		if err == nil {
			conn = c.(*net.UDPConn)
		}
		return err
	})
	return conn, err
}

// set sets the options of a socket that is not connected yet.
func (h *Header) set(c syscall.RawConn, is4 bool) (err error) {
	level, ttl, tos, discover := unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS, unix.IPV6_MTU_DISCOVER
	if is4 {
		level, ttl, tos, discover = unix.IPPROTO_IP, unix.IP_TTL, unix.IP_TOS, unix.IP_MTU_DISCOVER
	}
	set := func(fd, option, value int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, option, value)
		}
	}
	controlled := c.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, recv.KernelBuffer) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, recv.KernelBuffer)
		}
		if h.TTL > 0 {
			set(int(fd), ttl, h.TTL)
		}
		if h.TOS >= 0 {
			set(int(fd), tos, h.TOS)
		}
		// Where fragments are allowed, DF is not set either: IP_PMTUDISC_WANT would learn a path MTU during the run.
		discovery := unix.IP_PMTUDISC_DONT
		if h.DontFragment {
			discovery = unix.IP_PMTUDISC_DO
		}
		set(int(fd), discover, discovery)
		if h.Interface != "" && err == nil {
			err = unix.BindToDevice(int(fd), h.Interface)
		}
	})
	return errors.Join(controlled, err)
}

// Ready is always so: a write waits where the kernel has no room.
func (l *UDP) Ready(ctx context.Context, _ time.Duration) bool { return ctx.Err() == nil }

// Send writes the datagram. The error of a datagram before, which came back by ICMP, is taken off the socket by the first
// call that finds it; then the datagram goes again.
func (l *UDP) Send(b []byte) {
	copy(l.body[:stamp.Size], b)
	_, err := l.conn.Write(l.body)
	if l.heard(err) {
		_, err = l.conn.Write(l.body)
	}
	var number syscall.Errno
	switch {
	case err == nil:
		return
	case !errors.As(err, &number):
		number = 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed[number.Error()]++
}

// heard is whether an error is one that came back by ICMP.
func (l *UDP) heard(err error) bool {
	if !errors.Is(err, unix.ECONNREFUSED) {
		return false
	}
	closed := wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMPV6, Type: 1, Code: 4}
	if l.is4 {
		closed = wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 3}
	}
	l.icmp.Hear(closed)
	return true
}

// maxRead is more than a datagram can be.
const maxRead = 1 << 16

// read reads until the socket is closed. Whatever else a call ends in came back by ICMP, and was taken off the socket by it.
func (l *UDP) read(take func([]byte, int, time.Time)) {
	defer close(l.done)
	b := make([]byte, maxRead)
	for {
		n, err := l.conn.Read(b)
		switch {
		case err == nil:
			take(b[:n], n, time.Now())
		case !errors.As(err, new(syscall.Errno)):
			return // closed
		default:
			l.heard(err)
		}
	}
}

// Local is what the socket is bound to.
func (l *UDP) Local() netip.AddrPort { return l.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// ICMPErrors is what came back, most messages first. It is never nil.
func (l *UDP) ICMPErrors() []icmp.Error { return l.icmp.Errors() }

// Drops are the answers that the socket had no room for, by cause. It is never nil.
func (l *UDP) Drops() map[string]uint64 {
	out := map[string]uint64{}
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return out
	}
	_ = raw.Control(func(fd uintptr) { // a socket that is closed counts no more
		if n, err := recv.SocketDrops(int(fd)); err == nil && n > 0 {
			out[recv.BufferFull] = uint64(n)
		}
	})
	return out
}

// Over is never so: a kernel socket goes on, and takes the way that there is.
func (l *UDP) Over() bool { return false }

// Failed are the writes that failed, by what the system says.
func (l *UDP) Failed() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.failed)
}

// UnderWay is none: a write ends with its call.
func (l *UDP) UnderWay() int { return 0 }

// Close returns when nothing is handed over any more.
func (l *UDP) Close() error {
	err := l.conn.Close()
	<-l.done
	return err
}
