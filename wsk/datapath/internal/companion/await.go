// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

const (
	// leaveLimit bounds the wait until the driver has had what a socket sent. It may be long in coming back: others send through
	// the socket as well, and a queueing discipline may hold it.
	leaveLimit = 100 * time.Millisecond
	leaveNap   = time.Millisecond
)

// sendAndWait is send that waits: for the end of the operation, and where it ended well until the socket has nothing on its way.
// What is sent by another way after that does not overtake it.
func (s *sender) sendAndWait(op *wsk.SendOp) wsk.NTSTATUS {
	s.mu.Lock()
	ended := s.endedLocked(op)
	s.mu.Unlock()
	s.send(op)
	status := <-ended
	if status == wsk.STATUS_SUCCESS {
		s.awaitIdle()
	}
	return status
}

// drain waits until what it was given before has left the socket. What comes meanwhile is not waited for.
func (s *sender) drain() {
	for {
		s.mu.Lock()
		last := s.waiting.Tail()
		if last == nil {
			last = s.current
		}
		if last == nil {
			s.mu.Unlock()
			break
		}
		ended := s.endedLocked(last)
		s.mu.Unlock()
		if <-ended != wsk.STATUS_CANCELLED { // else what waited before it may still do
			break
		}
	}
	s.awaitIdle()
}

// awaitIdle waits until the driver has had what the socket sent.
func (s *sender) awaitIdle() {
	end := time.Now().Add(leaveLimit)
	for nap := leaveNap / 64; !s.socket.isIdle() && time.Now().Before(end); nap = min(2*nap, leaveNap) {
		time.Sleep(nap)
	}
}

// endedLocked is told how an operation has ended, or is about to. The caller holds s.mu, and the operation has not.
func (s *sender) endedLocked(op *wsk.SendOp) <-chan wsk.NTSTATUS {
	ended := make(chan wsk.NTSTATUS, 1)
	if s.awaited == nil {
		s.awaited = make(map[*wsk.SendOp][]chan wsk.NTSTATUS)
	}
	s.awaited[op] = append(s.awaited[op], ended)
	return ended
}

// tell wakes who waits for the end of an operation. It comes before the end itself: then the operation is the client's again.
func (s *sender) tell(op *wsk.SendOp, status wsk.NTSTATUS) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
	s.tellLocked(op, status)
}

func (s *sender) tellLocked(op *wsk.SendOp, status wsk.NTSTATUS) {
	if s.awaited == nil {
		return
	}
	for _, ended := range s.awaited[op] {
		ended <- status
	}
	delete(s.awaited, op)
}

// isIdle reports whether nothing that was sent is in the kernel's queues any more.
func (s *socket) isIdle() bool {
	bytes := 0
	err := s.control(func(fd int) (err error) {
		bytes, err = unix.IoctlGetInt(fd, unix.TIOCOUTQ)
		return err
	})
	return err != nil || bytes == 0
}
