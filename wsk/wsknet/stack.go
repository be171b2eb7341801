// SPDX-License-Identifier: Apache-2.0

package wsknet

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// Stack opens connections over one transport. All methods are safe for concurrent use.
type Stack struct {
	transport io.Closer
	subsystem wsk.Subsystem
	npi       *wsk.ProviderNPI
	release   func()
	opts      netconn.Options
	datapath  *datapath.Datapath // nil over a daemon

	mu      sync.Mutex
	closed  bool
	conns   map[*UDPConn]struct{}
	opening sync.WaitGroup // calls that open a connection; none begins when closed is set

	over     chan struct{} // closed when Close has ended
	closeErr error         // read after over
}

// Open opens a stack in the network namespace of opts.Datapath.NetNS, by default that of the calling thread: it reads the
// host's routes, and opens the interfaces that opts.Datapath names. It needs no privilege; without CAP_NET_RAW and
// CAP_NET_ADMIN the kernel's stack sends. With opts.Daemon nothing is opened yet: that a daemon is not there is an error of
// the first connection. The caller closes the stack, which closes its connections.
func Open(opts Options) (*Stack, error) {
	s := &Stack{opts: opts.Conn, conns: make(map[*UDPConn]struct{}), over: make(chan struct{})}
	var transport wsk.Transport
	if opts.Daemon != nil {
		t := client.Open(*opts.Daemon)
		transport, s.transport = t, t
	} else {
		opts.Datapath.StandIn = opts.Datapath.StandIn || !opts.Conn.Strict
		dp, err := datapath.Open(opts.Datapath)
		if err != nil {
			return nil, err
		}
		transport, s.transport, s.datapath = dp, dp, dp
	}
	if status := s.subsystem.Attach(transport, wsk.ProviderOptions{}); status != wsk.STATUS_SUCCESS {
		return nil, errors.Join(status, s.transport.Close())
	}
	var err error
	if s.npi, s.release, err = netconn.Capture(&s.subsystem); err != nil {
		s.subsystem.Detach()
		return nil, errors.Join(err, s.transport.Close())
	}
	return s, nil
}

// Datapath is what the stack sends through, for its Info and Flows, and nil over a daemon. Closing it is for the stack.
func (s *Stack) Datapath() *datapath.Datapath { return s.datapath }

// Close closes the connections of the stack, whose blocked calls fail with errors that wrap net.ErrClosed, and then what
// is below. It returns when queues, programs, ports and goroutines are gone; so does a second call, with the same error.
func (s *Stack) Close() error {
	conns, first := s.shut()
	if first {
		var closing sync.WaitGroup
		for _, c := range conns {
			closing.Go(func() { c.Conn.Close() })
		}
		closing.Wait()
		s.opening.Wait() // what is being opened finds the stack closed, and ends
		s.release()
		s.subsystem.Detach()
		s.closeErr = s.transport.Close()
		close(s.over)
	}
	<-s.over
	return s.closeErr
}

// shut refuses new connections, and returns those that there are. first is whether it is the first call.
func (s *Stack) shut() (conns []*UDPConn, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = !s.closed
	s.closed = true
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns, first
}

// open has a connection opened and makes it one of the stack's. ended, which may be nil, is called when it is closed.
func (s *Stack) open(ended func(), open func() (*netconn.Conn, error)) (*UDPConn, error) {
	if !s.begin() {
		return nil, errClosed
	}
	defer s.opening.Done()
	conn, err := open()
	if err != nil {
		return nil, err
	}
	c := &UDPConn{Conn: conn}
	c.ended = func() {
		s.remove(c)
		if ended != nil {
			ended()
		}
	}
	if !s.add(c) {
		conn.Close()
		return nil, errClosed
	}
	return c, nil
}

// errClosed is the error of a call on a stack that is closed.
var errClosed = &net.OpError{Op: "open", Net: "udp", Err: net.ErrClosed}

func (s *Stack) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.opening.Add(1)
	return true
}

func (s *Stack) add(c *UDPConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Stack) remove(c *UDPConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}
