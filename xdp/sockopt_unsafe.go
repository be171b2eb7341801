// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setUmemReg registers a UMEM. Kernels before 6.8 know a struct without the last field and accept the longer one.
func setUmemReg(fd int, reg unix.XDPUmemReg) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&reg)), unsafe.Sizeof(reg), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// getOffsets reads where the words and entries lie in each ring's mapping. Kernels before 5.4 give a shorter struct
// without the flags; such a kernel is refused.
func getOffsets(fd int) (unix.XDPMmapOffsets, error) {
	var off unix.XDPMmapOffsets
	size, err := getStruct(fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&off), unsafe.Sizeof(off))
	if err != nil {
		return off, err
	}
	if size != unsafe.Sizeof(off) {
		return off, &FeatureError{Name: "AF_XDP ring flags", MinKernel: "5.4",
			Detail: fmt.Sprintf("XDP_MMAP_OFFSETS has %d bytes, want %d", size, unsafe.Sizeof(off))}
	}
	return off, nil
}

// getStatistics reads as much of the counters as the kernel has and says how many bytes that was.
func getStatistics(fd int) (unix.XDPStatistics, int, error) {
	var st unix.XDPStatistics
	size, err := getStruct(fd, unix.XDP_STATISTICS, unsafe.Pointer(&st), unsafe.Sizeof(st))
	return st, int(size), err
}

func getStruct(fd, opt int, p unsafe.Pointer, size uintptr) (uintptr, error) {
	n := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(opt),
		uintptr(p), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return 0, errno
	}
	return uintptr(n), nil
}
