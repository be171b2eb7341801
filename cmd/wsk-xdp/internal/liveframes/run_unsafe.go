// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// progRun is struct bpf_attr of BPF_PROG_TEST_RUN.
type progRun struct {
	progFD                uint32
	retval                uint32
	sizeIn, sizeOut       uint32
	dataIn, dataOut       uint64
	repeat, duration      uint32
	ctxSizeIn, ctxSizeOut uint32
	ctxIn, ctxOut         uint64
	flags, cpu            uint32
	batchSize             uint32
	_                     uint32
}

// run makes so many live frames of data, and hands them to the program.
func run(prog int, data []byte, repeat, batch uint32) error {
	attr := progRun{progFD: uint32(prog), sizeIn: uint32(len(data)), dataIn: uint64(uintptr(unsafe.Pointer(&data[0]))), repeat: repeat,
		flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, batchSize: batch}
	if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
		return errno
	}
	return nil
}
