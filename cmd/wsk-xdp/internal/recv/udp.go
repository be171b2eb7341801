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
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
)

// Engine reads datagrams and hands them to a sink until it is closed.
type Engine interface {
	// Name is the word on the command line.
	Name() string
	// Drops are the datagrams that there was no room for, by cause, since the beginning. It is never nil.
	Drops() map[string]uint64
	// CatchUp hands over what has come by now and was not read yet, as far as the engine can tell.
	CatchUp()
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
	sink *Sink
	done chan struct{}

	turn     sync.Mutex // of whoever takes datagrams off the socket, until they are handed over
	messages *messageBuffers

	mu       sync.Mutex
	dropped  uint64
	counters *udpCounters // nil beside another engine, which looks at checksums itself
	host     udpDrops     // what they came to when they were read last
	err      error        // of reading
}

// OpenUDP binds a kernel socket in the namespace.
func OpenUDP(ns *netns.NS, local netip.AddrPort, sink *Sink) (Engine, error) {
	e, err := bindUDP(ns, local, sink)
	if err != nil {
		return nil, err
	}
	err = ns.Do(func() error {
		e.counters = openUDPCounters()
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, e.conn.Close())
	}
	go e.read()
	return e, nil
}

func openUDP(ns *netns.NS, local netip.AddrPort, sink *Sink) (*udpEngine, error) {
	e, err := bindUDP(ns, local, sink)
	if err == nil {
		go e.read()
	}
	return e, err
}

// bindUDP is an engine that nobody reads for yet.
func bindUDP(ns *netns.NS, local netip.AddrPort, sink *Sink) (*udpEngine, error) {
	e := &udpEngine{sink: sink, done: make(chan struct{}), messages: newMessages()}
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
func (e *udpEngine) read() {
	defer close(e.done)
	took := func(fd uintptr) bool { return e.take(fd) > 0 }
	for e.Err() == nil {
		if e.raw.Read(took) != nil {
			return // the connection is closed
		}
	}
}

// take takes a batch off the socket and hands it over. It returns how many datagrams that were, 0 where none waited; an attempt that has
// failed counts as a batch.
func (e *udpEngine) take(fd uintptr) int {
	e.turn.Lock()
	defer e.turn.Unlock()
	n, err := e.messages.receive(int(fd))
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0
	case errors.Is(err, unix.EINTR):
		return messages
	case err != nil:
		e.mu.Lock()
		defer e.mu.Unlock()
		e.err = os.NewSyscallError("recvmmsg", err)
		return messages
	}
	e.sink.Batch(func(take func([]byte, int)) {
		for i := range n {
			take(e.messages.message(i))
		}
	})
	return n
}

// CatchUp reads what waits at the socket. The goroutine that reads may have had no processor for a while, also with datagrams in its hand. It
// ends where others go on sending: what waits now is no more than the memory that it takes.
func (e *udpEngine) CatchUp() {
	_ = e.raw.Control(func(fd uintptr) { // of a socket that is closed nothing is read
		for range socketWaiting(int(fd))/messages + 1 {
			if e.take(fd) < messages || e.Err() != nil {
				return
			}
		}
	})
}

// finish is Close when everything has been read that waits by now.
func (e *udpEngine) finish() error {
	e.CatchUp()
	return e.Close()
}

// Drops is what the socket's buffer had no room for, which the kernel counts in 32 bits, and what came with a wrong checksum, for any
// socket of the namespace.
func (e *udpEngine) Drops() map[string]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.raw.Control(func(fd uintptr) { // a socket that is closed counts no more
		if n, err := SocketDrops(int(fd)); err == nil {
			e.dropped += uint64(n - uint32(e.dropped))
		}
	})
	if e.counters != nil && len(e.counters.files) > 0 {
		e.host = e.counters.since()
	}
	// The socket's count has those in it that were long and came with a wrong checksum.
	full := e.dropped - min(e.dropped, e.host.checksum, e.dropped-min(e.dropped, e.host.buffer))
	out := map[string]uint64{}
	for cause, n := range map[string]uint64{BufferFull: full, peer.BadChecksum: e.host.checksum} {
		if n > 0 {
			out[cause] = n
		}
	}
	return out
}

func (e *udpEngine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *udpEngine) Close() error {
	e.Drops() // which the socket is asked for a last time
	err := e.conn.Close()
	<-e.done
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.counters != nil {
		e.counters.close()
	}
	return errors.Join(err, e.err)
}
