// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// rawSocket is a kernel socket driven as a C program would: by blocking calls, or busily by calls that do not wait.
type rawSocket struct {
	fd   int
	busy bool
}

func openRaw(t *task) (rawSocket, error) {
	s := rawSocket{busy: t.Busy}
	typ := unix.SOCK_DGRAM | unix.SOCK_CLOEXEC
	if s.busy {
		typ |= unix.SOCK_NONBLOCK
	}
	var err error
	if s.fd, err = unix.Socket(unix.AF_INET, typ, 0); err != nil {
		return s, fmt.Errorf("open socket: %w", err)
	}
	// A blocking read ends now and then, so that the end of the run is seen.
	timeout := unix.NsecToTimeval(int64(giveUp))
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return s, errors.Join(fmt.Errorf("set timeout: %w", err), unix.Close(s.fd))
	}
	if err := unix.Bind(s.fd, sockaddr(t.Local)); err != nil {
		return s, errors.Join(fmt.Errorf("bind %v: %w", t.Local, err), unix.Close(s.fd))
	}
	return s, nil
}

func sockaddr(ap netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
}

// receive waits for a datagram until the deadline. n is negative when none came.
func (s rawSocket) receive(b []byte, deadline time.Time) (n int, from unix.Sockaddr, err error) {
	for spins := 1; ; spins++ {
		n, from, err = unix.Recvfrom(s.fd, b, 0)
		switch {
		case err == nil:
			return n, from, nil
		case err != unix.EAGAIN && err != unix.EINTR:
			return -1, nil, fmt.Errorf("receive: %w", err)
		case err == unix.EAGAIN && !s.busy:
			return -1, nil, nil
		}
		if spins%1024 == 0 && time.Now().After(deadline) {
			return -1, nil, nil
		}
	}
}

func (s rawSocket) send(b []byte, to unix.Sockaddr) error {
	for {
		err := unix.Sendto(s.fd, b, 0, to)
		if err != unix.EAGAIN && err != unix.EINTR && err != unix.ENOBUFS {
			return err
		}
	}
}

type rawEcho struct {
	s       rawSocket
	closing atomic.Bool
	done    chan error
}

func openRawEcho(t *task) (echoer, error) {
	s, err := openRaw(t)
	if err != nil {
		return nil, err
	}
	e := &rawEcho{s: s, done: make(chan error, 1)}
	go func() {
		runtime.LockOSThread()
		e.done <- e.serve()
	}()
	return e, nil
}

func (e *rawEcho) serve() error {
	b := make([]byte, 2048)
	for !e.closing.Load() {
		n, from, err := e.s.receive(b, time.Now().Add(giveUp))
		if err != nil {
			return err
		}
		if n >= 0 {
			if err := e.s.send(b[:n], from); err != nil {
				return fmt.Errorf("send back: %w", err)
			}
		}
	}
	return nil
}

func (e *rawEcho) close() error {
	e.closing.Store(true)
	return errors.Join(<-e.done, unix.Close(e.s.fd))
}

type rawPing struct{ s rawSocket }

func openRawPing(t *task) (pinger, error) {
	s, err := openRaw(t)
	return &rawPing{s}, err
}

func (g *rawPing) run(t *task, m *meter) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, reply, to := make([]byte, t.Payload), make([]byte, 2048), sockaddr(t.Peer)
	for number := uint64(1); !t.stopped(); number++ {
		stamp(b, number)
		begin := time.Now()
		if err := g.s.send(b, to); err != nil {
			return fmt.Errorf("send to %v: %w", t.Peer, err)
		}
		for {
			n, _, err := g.s.receive(reply, begin.Add(giveUp))
			if err != nil {
				return err
			}
			now := time.Now()
			if n < 0 {
				m.lose()
			} else if sequence(reply[:n]) == number {
				m.record(begin, now)
			} else {
				continue
			}
			if m.over(now) {
				return nil
			}
			break
		}
		if t.Interval > 0 {
			time.Sleep(t.Interval)
		}
	}
	return nil
}

func (g *rawPing) close() error { return unix.Close(g.s.fd) }
