// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolWords runs a command of ethtool, whose argument is made of words of 32 bits, on an interface of the calling thread's namespace.
func ethtoolWords(ifname string, words []uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:], ifname)
	req.data = unsafe.Pointer(unsafe.SliceData(words))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(words)
	if errno != 0 {
		return errno
	}
	return nil
}
