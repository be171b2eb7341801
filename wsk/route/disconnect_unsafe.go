// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// disconnect takes the peer off a datagram socket, and with it the address and the port that the kernel chose for it. The
// unix package has no address of family AF_UNSPEC.
func disconnect(fd int) error {
	unspec := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspec)), unsafe.Sizeof(unspec))
	if errno != 0 {
		return errno
	}
	return nil
}
