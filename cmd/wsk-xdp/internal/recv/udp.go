// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
)

// Engine reads datagrams and hands them to a sink until it is closed.
type Engine interface {
	// Name is the word on the command line.
	Name() string
	// Drops are the datagrams that there was no room for, by cause, since the beginning. It is never nil.
	Drops() map[string]uint64
	// Err is why nothing is handed over any more, nil as long as that goes on.
	Err() error
	// Close returns when nothing is handed over any more, with Err if there was one.
	Close() error
}

// BufferFull is the cause of what a kernel socket has dropped.
const BufferFull = "socket_buffer_full"

// udpEngine is the kernel's socket, read in batches by recvmmsg.
type udpEngine struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	done chan struct{}

	mu      sync.Mutex
	dropped uint64
	err     error // of reading
}

// OpenUDP binds a kernel socket in the namespace.
func OpenUDP(ns *netns.NS, local netip.AddrPort, sink *Sink) (Engine, error) {
	return openUDP(ns, local, sink)
}

func openUDP(ns *netns.NS, local netip.AddrPort, sink *Sink) (*udpEngine, error) {
	e := &udpEngine{done: make(chan struct{})}
	err := ns.Do(func() error {
		var c net.ListenConfig
		network := "udp"
		if local.Addr().Is4() {
			network = "udp4"
		}
		pc, err := c.ListenPacket(context.Background(), network, listenText(local))
		if err == nil {
			e.conn = pc.(*net.UDPConn)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if e.raw, err = e.conn.SyscallConn(); err != nil {
		return nil, errors.Join(err, e.conn.Close())
	}
	err = e.raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, KernelBuffer) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, KernelBuffer)
		}
	})
	if err != nil {
		return nil, errors.Join(err, e.conn.Close())
	}
	go e.read(sink)
	return e, nil
}

// listenText is an address as package net listens to it: every address where it is the wildcard.
func listenText(local netip.AddrPort) string {
	if !local.Addr().IsValid() {
		return fmt.Sprintf(":%d", local.Port())
	}
	return local.String()
}

func (e *udpEngine) Name() string { return "udp" }

// read reads until the connection is closed, or can't be read any more. The goroutine waits in the runtime's poller while nothing comes.
func (e *udpEngine) read(sink *Sink) {
	defer close(e.done)
	m := newMessages()
	for {
		var n int
		var err error
		closed := e.raw.Read(func(fd uintptr) bool {
			n, err = m.receive(int(fd))
			return !errors.Is(err, unix.EAGAIN)
		})
		if errors.Is(closed, os.ErrDeadlineExceeded) { // finish has set one
			e.readRest(m, sink)
			return
		}
		if closed != nil {
			return // what Read says is that the connection is closed
		}
		if !e.hand(n, err, m, sink) {
			return
		}
	}
}

// hand hands what was read to the sink, and reports whether reading goes on.
func (e *udpEngine) hand(n int, err error, m *messageBuffers, sink *Sink) bool {
	switch {
	case errors.Is(err, unix.EINTR):
		return true
	case err != nil:
		e.mu.Lock()
		defer e.mu.Unlock()
		e.err = os.NewSyscallError("recvmmsg", err)
		return false
	}
	sink.Batch(func(take func([]byte, int)) {
		for i := range n {
			take(m.message(i))
		}
	})
	return true
}

// restLimit bounds how long it goes on reading at the end while more comes.
const restLimit = 100 * time.Millisecond

// readRest reads until nothing waits any more.
func (e *udpEngine) readRest(m *messageBuffers, sink *Sink) {
	for end := time.Now().Add(restLimit); time.Now().Before(end); {
		var n int
		var err error
		if e.raw.Control(func(fd uintptr) { n, err = m.receive(int(fd)) }) != nil || errors.Is(err, unix.EAGAIN) || !e.hand(n, err, m, sink) {
			return
		}
	}
}

// finish is Close when everything has been read that waits by now.
func (e *udpEngine) finish() error {
	if err := e.conn.SetReadDeadline(time.Unix(0, 1)); err == nil {
		<-e.done
	}
	return e.Close()
}

// Drops is what the socket's buffer had no room for, which the kernel counts in 32 bits.
func (e *udpEngine) Drops() map[string]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.raw.Control(func(fd uintptr) { // a socket that is closed counts no more
		if n, err := SocketDrops(int(fd)); err == nil {
			e.dropped += uint64(n - uint32(e.dropped))
		}
	})
	if e.dropped == 0 {
		return map[string]uint64{}
	}
	return map[string]uint64{BufferFull: e.dropped}
}

func (e *udpEngine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *udpEngine) Close() error {
	err := e.conn.Close()
	<-e.done
	return errors.Join(err, e.Err())
}
