// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rxnfc is the beginning of struct ethtool_rxnfc, which is all that the flow hash commands read and write, and room for
// the rest.
type rxnfc struct {
	cmd, flow uint32
	data      uint64
	_         [176]byte
}

// flowHash runs a flow hash command of ethtool.
func flowHash(ifname string, cmd, flow uint32, data uint64) (uint64, error) {
	if len(ifname) >= unix.IFNAMSIZ {
		return 0, unix.ENODEV // cut, it might be the name of another
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	r := rxnfc{cmd: cmd, flow: flow, data: data}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:], ifname)
	req.data = unsafe.Pointer(&r)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(&r)
	if errno != 0 {
		return 0, errno
	}
	return r.data, nil
}
