// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/internal/inflight"
)

// Socket is one AF_XDP socket bound to one queue of one interface, with a UMEM of its own.
//
// Kick, KickIfNeeded, WakeRX, Statistics, Counters, Granted and Close are safe for concurrent use. The rings and the
// UMEM follow their own rules and must not be used once Close has been called.
//
//	Open ──► in use ──Close──► calls refused ──► calls in the kernel back ──► rings unmapped ──►
//	                                                                  fd closed ──► UMEM unmapped
//
// A Socket that is not closed leaks its descriptor and mappings: there is no finaliser, since rings and frames are in
// use beyond what the garbage collector sees.
type Socket struct {
	k    kernel
	fd   int
	rxFD int // of the split RX socket, else -1

	tx         *TxRing
	completion *CompletionRing
	fill       *FillRing
	rx         *RxRing
	umem       *UMEM

	umemMap  []byte
	ringMaps [][]byte

	granted  Granted
	counters counters
	calls    inflight.Calls // the calls in the kernel, which Close waits for

	detachOnce, closeOnce sync.Once
	detachErr, closeErr   error
}

var _ Queue = (*Socket)(nil)

// Open makes a socket, gives it a UMEM and rings and binds it. All of RxChunks are in the fill ring when it
// returns; all of TxChunks are the caller's. It must run on a thread in the network namespace of the interface; the
// socket may then be used from any. CAP_NET_RAW is needed; CAP_IPC_LOCK for a UMEM above RLIMIT_MEMLOCK.
//
// Every error is an [*OpError]. Nothing is left behind on failure.
func Open(o Options) (*Socket, error) { return OpenContext(context.Background(), o) }

// OpenContext is Open with a context that ends the wait for a busy queue, or for locked memory. The other steps do not
// wait.
func OpenContext(ctx context.Context, o Options) (*Socket, error) { return open(ctx, linux{}, o) }

// TX is the ring of frames to send.
func (s *Socket) TX() *TxRing { return s.tx }

// Completion is the ring of chunks that came back.
func (s *Socket) Completion() *CompletionRing { return s.completion }

// Fill is the ring of chunks to receive into; a socket that only sends has an empty one.
func (s *Socket) Fill() *FillRing { return s.fill }

// RX is the ring of received frames, nil without RX chunks.
func (s *Socket) RX() *RxRing { return s.rx }

// UMEM is the memory of all chunks.
func (s *Socket) UMEM() *UMEM { return s.umem }

// FD is the descriptor of the socket, for socket options; see RXFD for an XSKMAP. It belongs to the socket: do not
// close it, and do not use it after Close. Polling it transmits in copy mode and never reports completions.
func (s *Socket) FD() int { return s.fd }

// Granted is what the kernel gave.
func (s *Socket) Granted() Granted { return s.granted }

// RXFD is the descriptor that receives: the one for an XSKMAP. Where Options.SplitRX was set it can be waited on with
// poll and epoll; else it is the same as FD. The rules of FD apply. A duplicate must be closed before the Socket is, or
// the queue stays busy.
func (s *Socket) RXFD() int {
	if s.rxFD >= 0 {
		return s.rxFD
	}
	return s.fd
}

// Close waits for the calls that are in the kernel, then unmaps the rings, closes the descriptor and unmaps the UMEM,
// in this order: with a ring left mapped the queue would stay busy as long as the process lives. What the kernel
// still has of the chunks never completes: drain before, by a deadline. From the call on no ring may be used and no
// byte of the UMEM touched.
//
// It is idempotent; every call returns when the socket is closed, with the error of the first.
func (s *Socket) Close() error {
	detached := s.Detach()
	s.closeOnce.Do(func() {
		s.closeErr = detached
		if err := s.unmapUMEM(); err != nil {
			s.closeErr = errors.Join(detached, s.opError(opClose, err))
		}
	})
	return s.closeErr
}

// Detach is Close without its last step: the queue is free for another socket, and slices of chunks that were taken
// before stay mapped and readable until Close. It is for received chunks that are lent out. It is idempotent, as Close
// is.
func (s *Socket) Detach() error {
	s.detachOnce.Do(func() {
		s.calls.Close()
		s.calls.Wait()
		killRings(s)
		if err := s.leaveQueue(); err != nil {
			s.detachErr = s.opError(opClose, err)
		}
	})
	return s.detachErr
}

// unwind gives back what a socket has that was not completed, in the order of I8, and goes on past errors.
func (s *Socket) unwind() error {
	return errors.Join(s.leaveQueue(), s.unmapUMEM())
}

// leaveQueue unmaps the rings and closes the descriptors, after which the kernel frees the queue.
func (s *Socket) leaveQueue() error {
	var errs []error
	for _, m := range s.ringMaps {
		errs = append(errs, s.k.munmap(m))
	}
	s.ringMaps = nil
	for _, fd := range []*int{&s.rxFD, &s.fd} {
		if *fd >= 0 {
			errs = append(errs, s.k.close(*fd))
			*fd = -1
		}
	}
	return errors.Join(errs...)
}

func (s *Socket) unmapUMEM() error {
	if s.umemMap == nil {
		return nil
	}
	err := s.k.munmap(s.umemMap)
	s.umemMap = nil
	return err
}

func (s *Socket) opError(op string, err error) *OpError {
	return newOpError(op, s.granted.Ifname, s.granted.Queue, s.granted.Mode, err)
}

func newOpError(op, ifname string, queue uint32, mode Mode, err error) *OpError {
	return &OpError{Op: op, Ifname: ifname, Queue: queue, Mode: mode, Err: err, Hint: hint(op, mode, err)}
}
