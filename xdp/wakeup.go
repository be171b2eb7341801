// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Kick makes the kernel transmit: sendto(fd, NULL, 0, MSG_DONTWAIT). In copy mode the call carries up to TxBudget
// frames through the device before it returns. It returns the bare errno, 0 for none, EBADF after Close, and
// allocates nothing; see [ClassifyKick]. Safe for concurrent use, but EBUSY can be attributed to a descriptor only
// by a caller who lets no other Kick run meanwhile.
func (s *Socket) Kick() syscall.Errno {
	if !s.calls.Begin() {
		return unix.EBADF
	}
	errno := sendWakeup(s.fd)
	s.calls.End()
	s.kicked(errno)
	return errno
}

// KickIfNeeded kicks unless the socket was bound with need-wakeup and the kernel's flag says that the driver goes on by
// itself. Call it after Submit. In copy mode the flag is always set.
func (s *Socket) KickIfNeeded() (errno syscall.Errno, kicked bool) {
	if !s.calls.Begin() {
		return unix.EBADF, false
	}
	if s.granted.NeedWakeup && !s.tx.NeedWakeup() {
		s.calls.End()
		s.counters.kicksSaved.Add(1)
		return 0, false
	}
	errno = sendWakeup(s.fd)
	s.calls.End()
	s.kicked(errno)
	return errno, true
}

// WakeRX makes the driver look at the fill ring again: recvfrom(fd, NULL, 0, MSG_DONTWAIT), or poll on Linux 5.10,
// which has no receiving call for these sockets. It is needed after filling when FillRing.NeedWakeup says so, which it
// never does in copy mode. It returns the bare errno, EBADF after Close; EAGAIN is no failure here. Safe for concurrent
// use.
func (s *Socket) WakeRX() syscall.Errno {
	if !s.calls.Begin() {
		return unix.EBADF
	}
	errno := recvWakeup(s.RXFD())
	if errno == unix.EOPNOTSUPP {
		errno = 0
		if s.granted.Mode == ModeZeroCopy { // else poll would transmit, and there is nothing to wake
			errno = pollWakeup(s.RXFD())
		}
	}
	s.calls.End()
	s.counters.rxWakeups.Add(1)
	return errno
}
