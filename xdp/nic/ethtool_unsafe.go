// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolWords runs a command of ethtool whose argument is made of words of 32 bits. It reads and writes no more of them than there are.
func ethtoolWords(ifname string, words []uint32) error {
	return ethtoolIoctl(ifname, unsafe.Pointer(unsafe.SliceData(words)))
}

// ethtoolIoctl runs a command of ethtool on an interface of the calling thread's network namespace.
func ethtoolIoctl(ifname string, command unsafe.Pointer) error {
	if len(ifname) >= unix.IFNAMSIZ {
		return unix.ENODEV // cut, it might be the name of another
	}
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
	req.data = command
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(command)
	if errno != 0 {
		return errno
	}
	return nil
}
