// SPDX-License-Identifier: Apache-2.0

package wsknet

import (
	"context"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// ListenUDP is [Stack.ListenUDP] over the shared stack of the calling thread's network namespace. The first connection opens
// that stack, and the Close of the last one closes it.
func ListenUDP(network string, laddr *net.UDPAddr) (*UDPConn, error) {
	return share(func(s *Stack, ended func()) (*UDPConn, error) { return s.listenUDP(network, laddr, ended) })
}

// DialUDP is [Stack.DialUDP] over the shared stack, see [ListenUDP].
func DialUDP(network string, laddr, raddr *net.UDPAddr) (*UDPConn, error) {
	return share(func(s *Stack, ended func()) (*UDPConn, error) { return s.dialUDP(network, laddr, raddr, ended) })
}

// ListenPacket is [Stack.ListenPacket], for the networks "udp", "udp4" and "udp6", over the shared stack, see [ListenUDP].
// What it returns is a *UDPConn.
func ListenPacket(network, address string) (net.PacketConn, error) {
	return packetConn(share(func(s *Stack, ended func()) (*UDPConn, error) {
		return s.listenPacket(context.Background(), network, address, ended)
	}))
}

// DialContext is [Stack.DialContext], for the networks "udp", "udp4" and "udp6", over the shared stack, see [ListenUDP].
// What it returns is a *UDPConn.
func DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return netConn(share(func(s *Stack, ended func()) (*UDPConn, error) {
		return s.dialContext(ctx, network, address, ended)
	}))
}

// share opens a connection over the shared stack of the thread's namespace, which lives as long as its connections.
func share(open func(s *Stack, ended func()) (*UDPConn, error)) (*UDPConn, error) {
	p, err := acquire()
	if err != nil {
		return nil, &net.OpError{Op: "open", Net: "udp", Err: err}
	}
	c, err := open(p.stack, p.release)
	if err != nil {
		p.release()
		return nil, err
	}
	return c, nil
}

// place is a network namespace, and the stack that is shared in it.
type place struct {
	id    placeID
	users int // connections, and calls that open one; guarded by places.mu

	mu    sync.Mutex // held while the stack is opened and closed
	stack *Stack     // nil until it is open, and when it is closed; a user of the place reads it without mu
}

// placeID is the inode of a network namespace.
type placeID struct{ dev, ino uint64 }

var places = struct {
	mu sync.Mutex
	at map[placeID]*place
}{at: make(map[placeID]*place)}

// acquire makes the caller a user of the place where its thread is, and opens the stack there if it is the first.
func acquire() (*place, error) {
	p := enter()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stack == nil {
		stack, err := Open(Options{})
		if err != nil {
			p.leave()
			return nil, err
		}
		p.stack = stack
	}
	return p, nil
}

func enter() *place {
	var st unix.Stat_t
	// Where there is no /proc all threads count as one place.
	_ = unix.Stat("/proc/thread-self/ns/net", &st)
	id := placeID{uint64(st.Dev), st.Ino}
	places.mu.Lock()
	defer places.mu.Unlock()
	p := places.at[id]
	if p == nil {
		p = &place{id: id}
		places.at[id] = p
	}
	p.users++
	return p
}

// leave ends a use. It reports whether it was the last, which closes the stack. mu is held.
func (p *place) leave() (last bool) {
	places.mu.Lock()
	defer places.mu.Unlock()
	p.users--
	if p.users > 0 {
		return false
	}
	if p.stack == nil {
		delete(places.at, p.id)
	}
	return true
}

// release ends a use, and with the last one the stack. Who enters meanwhile waits for the end of that and opens another:
// two at once would want the same queues.
func (p *place) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leave() {
		return
	}
	_ = p.stack.Close() // a connection's Close has no word for it, and nothing is left either way
	p.stack = nil
	places.mu.Lock()
	defer places.mu.Unlock()
	if p.users == 0 {
		delete(places.at, p.id)
	}
}
