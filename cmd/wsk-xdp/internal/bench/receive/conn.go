// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// receiveBuffer is what kernel sockets may queue, as much as the UMEM of an AF_XDP socket has for it.
const receiveBuffer = 4 << 20

// openConn is the usual Go server.
func openConn(t *task, count func(int)) (receiver, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(t.Local))
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { growBuffer(int(fd)) })
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return serveConn(conn, t.Payload, count), nil
}

// packetConn is what both kinds of connection have.
type packetConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	Close() error
}

// serveConn reads until the connection is closed.
func serveConn(conn packetConn, size int, count func(int)) receiver {
	r := &connReceiver{conn, make(chan error, 1)}
	go func() {
		b := make([]byte, 2048)
		for {
			n, _, err := conn.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				r.done <- nil
				return
			}
			if err != nil {
				r.done <- err
				return
			}
			if look(b[:n], size) {
				count(1)
			}
		}
	}()
	return r
}

func growBuffer(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
}

type connReceiver struct {
	conn packetConn
	done chan error
}

func (r *connReceiver) close() error { return errors.Join(r.conn.Close(), <-r.done) }

// openRecvmmsg is what a C program would do, on a thread of its own.
func openRecvmmsg(t *task, count func(int)) (receiver, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	growBuffer(fd)
	// A read ends now and then, so that the end is seen.
	timeout := unix.NsecToTimeval(100e6)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: t.Local.Addr().As4(), Port: int(t.Local.Port())}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind %v: %w", t.Local, err), unix.Close(fd))
	}
	r := &mmsgReceiver{fd: fd, done: make(chan error, 1)}
	go func() { r.done <- r.serve(t.Payload, count) }()
	return r, nil
}
