// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// recvmsg reads one message without waiting, and without room for control data: the kernel throws descriptors away and
// says MSG_CTRUNC.
//
// It and sendto are raw calls: they return at once, and the runtime's monitor is not told of them. Each call that it is told
// of wakes it where it sleeps, as it does whenever the process has been idle, and it then looks around every 20 µs for a
// while.
func recvmsg(fd int, b []byte) (n, flags int, err error) {
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	h := unix.Msghdr{Iov: &iov}
	h.SetIovlen(1)
	for {
		r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
		switch errno {
		case 0:
			return int(r), int(h.Flags), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, 0, unix.EAGAIN
		default:
			return 0, 0, errno
		}
	}
}

// sendto sends one message without waiting and without SIGPIPE.
func sendto(fd int, b []byte) error {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		case unix.EAGAIN:
			return unix.EAGAIN
		default:
			return errno
		}
	}
}

// pidfdInfo is struct pidfd_info of linux/pidfd.h in its first version.
type pidfdInfo struct {
	mask     uint64
	cgroupID uint64
	_        [12]uint32
}

const (
	pidfdGetInfo    = 0xC0<<24 | uint(unsafe.Sizeof(pidfdInfo{}))<<16 | 0xFF<<8 | 11 // _IOWR(0xFF, 11, struct pidfd_info)
	pidfdInfoCgroup = 1 << 2
)

// cgroupOf is the id of the control group of a process (Linux 6.13).
func cgroupOf(pidfd int) (uint64, error) {
	info := pidfdInfo{mask: pidfdInfoCgroup}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), uintptr(pidfdGetInfo), uintptr(unsafe.Pointer(&info)))
	switch {
	case errno != 0:
		return 0, errno
	case info.mask&pidfdInfoCgroup == 0:
		return 0, unix.ENOTSUP
	}
	return info.cgroupID, nil
}

// peerGroups are the supplementary groups of the peer when it connected.
func peerGroups(fd int) ([]uint32, error) {
	for n := 32; ; {
		groups := make([]uint32, n)
		size := uint32(4 * n)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno != unix.ERANGE || int(size) <= 4*n:
			return nil, errno
		}
		n = int(size / 4)
	}
}
