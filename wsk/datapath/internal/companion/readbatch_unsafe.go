// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
)

const (
	// recvMessages is how many datagrams one system call takes off a companion socket.
	recvMessages = 16
	// recvControl has room for every control message that receiveOptions asks for, both levels, and an ICMP error.
	recvControl = 320
	// recvMax is the longest payload: 65535 less the shortest headers, or as much coalesced.
	recvMax = 65536
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// recvBatch is the memory of one recvmmsg. Each message goes into a buffer that can be lent, and what does not
// fit that into a tail that is copied from. Batches are pooled by the datapath: a socket on which nothing arrives holds none.
// The slices are pointed to by headers, so they are never reallocated.
type recvBatch struct {
	headers []mmsghdr
	iovecs  []unix.Iovec
	names   []unix.RawSockaddrInet6
	control []byte
	tails   []byte
	bufs    [recvMessages]*receive.Copied
}

const recvTail = recvMax - 2048

func newRecvBatch() *recvBatch {
	b := &recvBatch{
		headers: make([]mmsghdr, recvMessages), iovecs: make([]unix.Iovec, 2*recvMessages),
		names: make([]unix.RawSockaddrInet6, recvMessages), control: make([]byte, recvMessages*recvControl),
		tails: make([]byte, recvMessages*recvTail),
	}
	for i := range b.headers {
		h := &b.headers[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Control = &b.control[i*recvControl]
		h.Iov = &b.iovecs[2*i]
		h.SetIovlen(2)
		b.iovecs[2*i+1].Base = &b.tails[i*recvTail]
		b.iovecs[2*i+1].SetLen(recvTail)
	}
	return b
}

// arm gives message i a buffer and room for everything that comes with a datagram.
func (b *recvBatch) arm(i int, buf *receive.Copied) {
	b.bufs[i] = buf
	b.iovecs[2*i].Base = &buf.Buf[0]
	b.iovecs[2*i].SetLen(len(buf.Buf))
}

// receive takes what is there, at most the batch, and returns how many.
func (b *recvBatch) receive(fd int) (int, syscall.Errno) {
	for i := range b.headers {
		b.headers[i].hdr.Namelen = unix.SizeofSockaddrInet6
		b.headers[i].hdr.SetControllen(recvControl)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])),
		uintptr(len(b.headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// receiveError takes one entry off the error queue, as message 0.
func (b *recvBatch) receiveError(fd int) syscall.Errno {
	h := &b.headers[0].hdr
	h.Namelen = unix.SizeofSockaddrInet6
	h.SetControllen(recvControl)
	_, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(h)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	return errno
}

func (b *recvBatch) controlOf(i int) []byte {
	n := min(int(b.headers[i].hdr.Controllen), recvControl)
	return b.control[i*recvControl : i*recvControl+n]
}

func (b *recvBatch) length(i int) int { return min(int(b.headers[i].len), recvMax) }

func (b *recvBatch) tail(i, n int) []byte { return b.tails[i*recvTail : i*recvTail+n] }

// name is the address of message i in the layout of the kernel.
func (b *recvBatch) name(i int) []byte {
	n := min(b.headers[i].hdr.Namelen, unix.SizeofSockaddrInet6)
	return unsafe.Slice((*byte)(unsafe.Pointer(&b.names[i])), n)
}
