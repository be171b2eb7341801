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

// WakeRX makes the driver look at the fill ring again: recvfrom(fd, NULL, 0, MSG_DONTWAIT), or poll on Linux 5.10, which has
// no receiving call for these sockets. Needed after filling when FillRing.NeedWakeup, which copy mode never says. It returns the
// bare errno; EAGAIN is no failure here. EBADF after Close. Safe for concurrent use.
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

// sendWakeup bypasses the scheduler. A kick of a full budget takes longer than the 20 µs after which the runtime takes
// the P of a thread in a system call away, and every second kick then ended with a thread switch, which cost a fifth
// of the rate (Linux 6.18, veth, 2026-11). In exchange a kick delays a garbage collection by as long as it takes, which is
// why the default budget is small.
func sendWakeup(fd int) syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// pollWakeup looks without waiting: the look itself is what wakes the driver.
func pollWakeup(fd int) syscall.Errno {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	errno, _ := err.(syscall.Errno)
	return errno
}

func recvWakeup(fd int) syscall.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}
