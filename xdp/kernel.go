// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// kernel is every system call that opens and closes a socket, so that a test can make any of them fail.
type kernel interface {
	link(name string, index int) (nic.Link, error)
	device(index int) (nic.Device, error)
	socket() (int, error)
	setInt(fd, level, opt, value int) error
	getInt(fd, level, opt int) (int, error)
	register(fd int, reg unix.XDPUmemReg) error
	offsets(fd int) (unix.XDPMmapOffsets, error)
	statistics(fd int) (st unix.XDPStatistics, size int, err error)
	mmap(fd int, offset int64, length, flags int) ([]byte, error)
	munmap(b []byte) error
	bind(fd int, sa *unix.SockaddrXDP) error
	kick(fd int) syscall.Errno
	close(fd int) error
}

// linux is the real one.
type linux struct{}

func (linux) socket() (int, error) {
	return unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
}

func (linux) link(name string, index int) (nic.Link, error) { return nic.FindLink(name, index) }

func (linux) device(index int) (nic.Device, error) { return nic.DeviceOf(index) }

func (linux) setInt(fd, level, opt, value int) error {
	return unix.SetsockoptInt(fd, level, opt, value)
}

func (linux) getInt(fd, level, opt int) (int, error) { return unix.GetsockoptInt(fd, level, opt) }

func (linux) register(fd int, reg unix.XDPUmemReg) error { return setUmemReg(fd, reg) }

func (linux) offsets(fd int) (unix.XDPMmapOffsets, error) { return getOffsets(fd) }

func (linux) statistics(fd int) (unix.XDPStatistics, int, error) { return getStatistics(fd) }

func (linux) mmap(fd int, offset int64, length, flags int) ([]byte, error) {
	return unix.Mmap(fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, flags)
}

func (linux) munmap(b []byte) error { return unix.Munmap(b) }

func (linux) bind(fd int, sa *unix.SockaddrXDP) error { return unix.Bind(fd, sa) }

func (linux) kick(fd int) syscall.Errno { return sendWakeup(fd) }

func (linux) close(fd int) error { return unix.Close(fd) }

// sendWakeup bypasses the scheduler. A kick of a full budget takes longer than the 20 µs after which the runtime takes
// the P away from a thread that is in a system call. Every second kick then ended with a thread switch, which cost a
// fifth of the rate (Linux 6.18, veth, 2026-11). The price is that a garbage collection has to wait for the kick, which
// is why the default budget is small.
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
