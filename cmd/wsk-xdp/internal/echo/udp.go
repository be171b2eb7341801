// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
)

// UDP answers by kernel sockets, one for each version of IP.
type UDP struct {
	rule  Rule
	meter *Meter
	conns []*net.UDPConn
	wait  sync.WaitGroup
	late  *delayed[parcel] // nil where answers leave at once

	mu     sync.Mutex
	err    error         // of reading
	broken chan struct{} // closed with the first
}

// OpenUDP binds sockets in the namespace, and answers until Close. An invalid address is every one.
func OpenUDP(ns *netns.NS, local netip.AddrPort, rule Rule, meter *Meter) (*UDP, error) {
	e := &UDP{rule: rule, meter: meter, broken: make(chan struct{})}
	if rule.Path.Delay > 0 {
		e.late = newDelayed(rule.Path.Delay, e.send)
	}
	addresses := []netip.Addr{local.Addr()}
	if !local.Addr().IsValid() {
		addresses = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, a := range addresses {
		err := ns.Do(func() error { return e.listen(netip.AddrPortFrom(a, local.Port())) })
		if err != nil && len(e.conns) > 0 && errors.Is(err, unix.EAFNOSUPPORT) {
			break // a host without IPv6
		}
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	for _, conn := range e.conns {
		e.wait.Go(func() { e.serve(conn) })
	}
	return e, nil
}

// listen binds one socket, of which the kernel tells where its datagrams were sent to.
func (e *UDP) listen(local netip.AddrPort) error {
	network, level, option := "udp6", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	if local.Addr().Is4() {
		network, level, option = "udp4", unix.IPPROTO_IP, unix.IP_PKTINFO
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlled := raw.Control(func(fd uintptr) {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, recv.KernelBuffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, recv.KernelBuffer)
			}
			err = errors.Join(
				unix.SetsockoptInt(int(fd), level, option, 1),
				// The runtime allows broadcasts. Then a forged source that is the broadcast address of a network, which a Rule does
				// not know, would have the answer go to every host of it.
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 0),
			)
		})
		return errors.Join(controlled, err)
	}}
	conn, err := c.ListenPacket(context.Background(), network, local.String())
	if err == nil {
		e.conns = append(e.conns, conn.(*net.UDPConn))
	}
	return err
}

// Sizes of what is read: more than a datagram, and than one object of control data.
const (
	maxDatagram = 1 << 16
	maxControl  = 128
)

// parcel is an answer, with where it goes.
type parcel struct {
	conn       *net.UDPConn
	b, control []byte
	to         netip.AddrPort
}

// send sends an answer.
func (e *UDP) send(p parcel) {
	_, _, err := p.conn.WriteMsgUDPAddrPort(p.b, p.control, p.to)
	e.meter.sent(err == nil)
}

// serve answers until the socket is closed.
func (e *UDP) serve(conn *net.UDPConn) {
	b, control := make([]byte, maxDatagram), make([]byte, maxControl)
	for {
		n, length, _, from, err := conn.ReadMsgUDPAddrPort(b, control)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			e.fail(os.NewSyscallError("recvmsg", err))
			return
		}
		cast := sourceOfAnswer(control[:length])
		cause := e.rule.judge(b[:n], from, cast)
		if cause == "" {
			answer(b[:n])
		}
		if cause == "" && e.late != nil && !e.late.put(time.Now(), parcel{conn, bytes.Clone(b[:n]), bytes.Clone(control[:length]), from}) {
			cause = NoRoom
		}
		e.meter.came(n, cause)
		if cause == "" && e.late == nil {
			e.send(parcel{conn, b[:n], control[:length], from})
		}
	}
}

// fail keeps why a socket can't be read any more.
func (e *UDP) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		close(e.broken)
	}
	e.err = errors.Join(e.err, err)
}

// sourceOfAnswer turns the control data of a datagram into that of its answer, in place: where it was sent to becomes
// where the answer comes from, through whatever interface, which only a link-local address says more about. It reports
// whether the datagram was sent to many.
func sourceOfAnswer(control []byte) (cast bool) {
	for len(control) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return false
		}
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: interface, the address of this host, the destination. They differ where that is no host's.
			cast = [4]byte(data[4:8]) != [4]byte(data[8:12])
			clear(data[:4])
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			a := netip.AddrFrom16([16]byte(data[:16]))
			cast = a.IsMulticast()
			if !a.IsLinkLocalUnicast() {
				clear(data[16:20])
			}
		}
		control = rest
	}
	return cast
}

// Broken is closed when a socket can't be read any more. Close says why.
func (e *UDP) Broken() <-chan struct{} { return e.broken }

// Name is the word on the command line.
func (e *UDP) Name() string { return "udp" }

// Drops are the datagrams that the sockets had no room for, by cause. It is never nil.
func (e *UDP) Drops() map[string]uint64 {
	out := map[string]uint64{}
	for _, conn := range e.conns {
		raw, err := conn.SyscallConn()
		if err != nil {
			continue
		}
		_ = raw.Control(func(fd uintptr) { // a socket that is closed counts no more
			if n, err := recv.SocketDrops(int(fd)); err == nil && n > 0 {
				out[recv.BufferFull] += uint64(n)
			}
		})
	}
	return out
}

// Close returns when nothing is answered any more.
func (e *UDP) Close() error {
	e.late.close()
	var err error
	for _, conn := range e.conns {
		err = errors.Join(err, conn.Close())
	}
	e.wait.Wait()
	e.meter.held(e.late.left()) // what was read while it ended among them
	return errors.Join(err, e.err)
}
