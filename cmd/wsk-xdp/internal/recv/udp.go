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
		switch {
		case closed != nil:
			return // what Read says is that the connection is closed
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			e.mu.Lock()
			defer e.mu.Unlock()
			e.err = os.NewSyscallError("recvmmsg", err)
			return
		}
		sink.Batch(func(take func([]byte, int)) {
			for i := range n {
				take(m.message(i))
			}
		})
	}
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

// waits is whether a datagram waits to be read.
func (e *udpEngine) waits() (some bool) {
	_ = e.raw.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		some = err == nil && n > 0
	})
	return some
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
