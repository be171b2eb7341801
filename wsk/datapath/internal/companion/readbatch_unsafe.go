// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
)

const (
	// batchMessages is how many datagrams one system call takes off a companion socket.
	batchMessages = 16
	// controlRoom has room for every control message that receiveOptions asks for, both levels, and an ICMP error.
	controlRoom = 320
	// longestPayload is the longest payload: 65535 less the shortest headers, or as much coalesced.
	longestPayload = 65536
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// batch is the memory of one recvmmsg. Each message goes into a buffer that can be lent, and what does not fit that
// into a tail that is copied from. Batches are pooled by the datapath: a socket on which nothing arrives holds none.
// The slices are pointed to by headers, so they are never reallocated.
type batch struct {
	headers []mmsghdr
	iovecs  []unix.Iovec
	names   []unix.RawSockaddrInet6
	control []byte
	tails   []byte
	bufs    [batchMessages]*receive.Buffer
}

const tailRoom = longestPayload - receive.FrameBuffer

func newBatch() *batch {
	b := &batch{
		headers: make([]mmsghdr, batchMessages), iovecs: make([]unix.Iovec, 2*batchMessages),
		names: make([]unix.RawSockaddrInet6, batchMessages), control: make([]byte, batchMessages*controlRoom),
		tails: make([]byte, batchMessages*tailRoom),
	}
	for i := range b.headers {
		h := &b.headers[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Control = &b.control[i*controlRoom]
		h.Iov = &b.iovecs[2*i]
		h.SetIovlen(2)
		b.iovecs[2*i+1].Base = &b.tails[i*tailRoom]
		b.iovecs[2*i+1].SetLen(tailRoom)
	}
	return b
}

// arm gives message i a buffer and room for everything that comes with a datagram.
func (b *batch) arm(i int, buf *receive.Buffer) {
	b.bufs[i] = buf
	b.iovecs[2*i].Base = &buf.Bytes[0]
	b.iovecs[2*i].SetLen(len(buf.Bytes))
}

// receive takes what is there, at most the batch, and returns how many.
func (b *batch) receive(fd int) (int, syscall.Errno) {
	for i := range b.headers {
		b.headers[i].hdr.Namelen = unix.SizeofSockaddrInet6
		b.headers[i].hdr.SetControllen(controlRoom)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])),
		uintptr(len(b.headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// receiveError takes one entry off the error queue, as message 0.
func (b *batch) receiveError(fd int) syscall.Errno {
	h := &b.headers[0].hdr
	h.Namelen = unix.SizeofSockaddrInet6
	h.SetControllen(controlRoom)
	_, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(h)),
		unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	return errno
}

func (b *batch) controlOf(i int) []byte {
	n := min(int(b.headers[i].hdr.Controllen), controlRoom)
	return b.control[i*controlRoom : i*controlRoom+n]
}

func (b *batch) length(i int) int { return min(int(b.headers[i].len), longestPayload) }

func (b *batch) tail(i, n int) []byte { return b.tails[i*tailRoom : i*tailRoom+n] }

// name is the address of message i in the layout of the kernel.
func (b *batch) name(i int) []byte {
	n := min(b.headers[i].hdr.Namelen, unix.SizeofSockaddrInet6)
	return unsafe.Slice((*byte)(unsafe.Pointer(&b.names[i])), n)
}
