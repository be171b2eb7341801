// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// countBatchBuffers fetches lengths of datagrams without their bytes: one byte of each is copied, MSG_TRUNC makes the
// kernel report the true length. The slices are referenced by headers, so they are never reallocated.
type countBatchBuffers struct {
	headers []mmsghdr
	iovecs  []unix.Iovec
	bytes   []byte
	control []byte
}

func newCountBatch(n int) *countBatchBuffers {
	b := &countBatchBuffers{
		headers: make([]mmsghdr, n), iovecs: make([]unix.Iovec, n),
		bytes: make([]byte, n), control: make([]byte, n*controlSize),
	}
	for i := range b.headers {
		b.iovecs[i].Base = &b.bytes[i]
		b.iovecs[i].SetLen(1)
		b.headers[i].hdr.Iov = &b.iovecs[i]
		b.headers[i].hdr.SetIovlen(1)
		b.headers[i].hdr.Control = &b.control[i*controlSize]
	}
	return b
}

// receive fetches what is there, at most the batch, and returns how many.
func (b *countBatchBuffers) receive(fd int) (int, error) {
	for i := range b.headers {
		b.headers[i].hdr.SetControllen(controlSize)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])),
		uintptr(len(b.headers)), unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (b *countBatchBuffers) length(i int) uint32 { return b.headers[i].len }

// overflow returns the drop counter (SO_RXQ_OVFL) that came with message i.
func (b *countBatchBuffers) overflow(i int) (uint32, bool) {
	if i < 0 {
		return 0, false
	}
	at := i * controlSize
	messages, err := unix.ParseSocketControlMessage(b.control[at : at+int(b.headers[i].hdr.Controllen)])
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL {
			return binary.NativeEndian.Uint32(m.Data), true
		}
	}
	return 0, false
}
