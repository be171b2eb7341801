// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Positions in what SO_MEMINFO gives (linux/sock_diag.h).
const (
	memDrops = 8
	memWords = 9
)

// overflowed is how many datagrams the kernel has dropped at the socket, mostly because its buffer was full; a few may have
// had wrong checksums. It is 0 where the kernel does not tell.
func (s *socket) overflowed() uint64 {
	var words [memWords]uint32
	err := s.control(func(fd int) error {
		size := uint32(unsafe.Sizeof(words))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&words)),
			uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		return 0
	}
	return uint64(words[memDrops])
}
