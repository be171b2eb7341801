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
	ended := make(chan wsk.NTSTATUS, 1)
	s.mu.Lock()
	if s.awaited == nil {
		s.awaited = make(map[*wsk.SendOp]chan wsk.NTSTATUS)
	}
	s.awaited[op] = ended
	s.mu.Unlock()
	s.send(op)
	status := <-ended
	if status != wsk.STATUS_SUCCESS {
		return status
	}
	end := time.Now().Add(leaveLimit)
	for nap := leaveNap / 64; !s.socket.isIdle() && time.Now().Before(end); nap = min(2*nap, leaveNap) {
		time.Sleep(nap)
	}
	return status
}

// tell wakes who waits for the end of an operation. It comes before the end itself: then the operation is the client's again.
func (s *sender) tell(op *wsk.SendOp, status wsk.NTSTATUS) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked(op, status)
}

func (s *sender) tellLocked(op *wsk.SendOp, status wsk.NTSTATUS) {
	if ended := s.awaited[op]; ended != nil {
		delete(s.awaited, op)
		ended <- status
	}
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
