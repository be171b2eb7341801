// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/turns"
)

// Config is what a Server is made of.
type Config struct {
	// Transport sends and receives. It is the caller's to close, after Shutdown.
	Transport wsk.Transport
	// Policy says who may do what. After a reload call [Server.PolicyChanged].
	Policy *policy.Current
	// Recheck makes the transport ask about all destinations again, like (*datapath.Datapath).Recheck. nil: the
	// transport forgets nothing, and a reload takes hold of destinations in use only when their way changes.
	Recheck func()
	// Interface is the name of an interface of the transport's network namespace, empty when there is none. It must
	// not block. nil asks the kernel, in the namespace of the process.
	Interface func(index uint32) string
	// Queues is the number of transmit queues that the transport spreads its sockets over; 0 means one.
	Queues int
	// Chunks is how many frames a queue of the transport can hold; 0 means 2048. It decides how many of one socket are
	// with the transport at a time.
	Chunks int
	// Version of the daemon, for people: up to 16 bytes of printable ASCII.
	Version string
	// Logger gets a line for each session and refusal, never one per datagram. nil discards.
	Logger *slog.Logger
}

// Server serves clients. All methods are for any goroutine.
type Server struct {
	config   Config
	log      *slog.Logger
	instance uint64
	pumps    []*turns.Pump
	next     atomic.Uint32 // pump of the next socket
	busy     atomic.Int64  // sockets with something to send
	users    users
	grants   grants
	host     host
	stats    stats
	identify func(*peer.Conn, string) (*peer.Identity, error) // who a client is that has come through a listener

	reloading sync.Mutex // so that the limits of an older policy do not come after those of a newer one

	mu        sync.Mutex
	draining  bool
	listeners map[*net.UnixListener]struct{}
	sessions  map[*session]struct{}
	last      uint64 // number of the newest session
	work      sync.WaitGroup
}

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("service: the server has been shut down")

// New makes a server. It serves nobody until Serve is called, and ends with Shutdown.
func New(c Config) (*Server, error) {
	if c.Transport == nil || c.Policy == nil {
		return nil, errors.New("service: a server needs a transport and a policy")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Chunks <= 0 {
		c.Chunks = defaultChunks
	}
	s := &Server{
		config: c, log: c.Logger, instance: rand.Uint64() | 1, identify: (*peer.Conn).Identify,
		listeners: make(map[*net.UnixListener]struct{}), sessions: make(map[*session]struct{}),
	}
	for range max(c.Queues, 1) {
		s.pumps = append(s.pumps, &turns.Pump{Go: s.goRun})
	}
	s.grants.adopt(c.Policy.Load())
	if err := s.host.open(c.Transport, c.Interface, s.addressesChanged); err != nil {
		return nil, err
	}
	return s, nil
}

const defaultChunks = 2048

// goRun runs f on a goroutine that Shutdown waits for.
func (s *Server) goRun(f func()) {
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		f()
	}()
}

// Serve takes clients from a listening socket of the network "unixpacket" until Shutdown or a fault of the listener,
// and returns why. It closes the listener. name is what the policy calls it (listener = "…").
func (s *Server) Serve(l *net.UnixListener, name string) error {
	defer l.Close()
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.work.Add(1)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
		s.work.Done()
	}()
	deciding := make(chan struct{}, mostDeciding)
	for {
		conn, err := l.AcceptUnix()
		switch {
		case err == nil:
			deciding <- struct{}{}
			s.goRun(func() { // one whose unit is hard to find keeps nobody else
				s.begin(conn, name)
				<-deciding
			})
		case s.isDraining():
			return ErrClosed
		case isPassing(err):
			s.log.Warn("cannot take a client now", "err", err)
			time.Sleep(acceptPause)
		default:
			return err
		}
	}
}

// mostDeciding is how many clients of a listener are decided about at a time: four times as many as one user may be.
const mostDeciding = 4 * maxSessions

// acceptPause is how long no client is taken after one could not be, for want of descriptors or memory.
const acceptPause = 100 * time.Millisecond

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// goodbye is how long sessions may go on after the beginning of Shutdown.
const goodbye = 2 * time.Second

// Shutdown takes no more clients and no more sockets, tells the clients that are there, and ends their sessions when
// they have gone, after two seconds, or when ctx is done. It returns when nothing of the server is left: every
// operation has completed, every port is free.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.draining
	s.draining = true
	for l := range s.listeners {
		l.Close()
	}
	left := make([]*session, 0, len(s.sessions))
	for c := range s.sessions {
		left = append(left, c)
	}
	s.mu.Unlock()
	for _, c := range left {
		c.notify(0, ipc.TypeGoodbye, &ipc.Goodbye{After: goodbye})
	}
	gone := make(chan struct{})
	go func() {
		s.work.Wait()
		close(gone)
	}()
	late := time.NewTimer(goodbye)
	defer late.Stop()
	select {
	case <-gone:
	case <-ctx.Done():
	case <-late.C:
	}
	for _, c := range left {
		c.end(ipc.ReasonDraining, "the daemon stops")
	}
	<-gone
	if first {
		s.host.close()
	}
	return nil
}
