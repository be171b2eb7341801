// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// How much one call takes. What is longer than maxRead is read as far as that, its length is known all the same.
const (
	messages = 64
	maxRead  = 2048
)

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// messageBuffers are the arguments of recvmmsg. They are not moved: they point to each other.
type messageBuffers struct {
	headers [messages]mmsghdr
	iovecs  [messages]unix.Iovec
	data    [messages][maxRead]byte
}

func newMessages() *messageBuffers {
	m := new(messageBuffers)
	for i := range m.headers {
		m.iovecs[i].Base = &m.data[i][0]
		m.iovecs[i].SetLen(maxRead)
		m.headers[i].hdr.Iov = &m.iovecs[i]
		m.headers[i].hdr.SetIovlen(1)
	}
	return m
}

// receive takes what is there, and waits for nothing.
func (m *messageBuffers) receive(fd int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.headers[0])), messages,
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// message is what was read of datagram i, and its length.
func (m *messageBuffers) message(i int) ([]byte, int) {
	n := int(m.headers[i].n)
	return m.data[i][:min(n, maxRead)], n
}

// Positions in what SO_MEMINFO gives (linux/sock_diag.h).
const (
	memReceived = 0
	memDrops    = 8
	memWords    = 9
)

// leastMemory is what the kernel takes for a datagram, at least: struct sk_buff and struct skb_shared_info.
const leastMemory = 512

// SocketDrops is how many datagrams a socket has dropped because its buffer was full.
func SocketDrops(fd int) (uint32, error) {
	words, err := socketMemory(fd)
	return words[memDrops], err
}

// socketWaiting is more than what waits to be read from a socket, 0 where that can't be told.
func socketWaiting(fd int) int {
	words, _ := socketMemory(fd)
	return int(words[memReceived]) / leastMemory
}

func socketMemory(fd int) (words [memWords]uint32, err error) {
	size := uint32(unsafe.Sizeof(words))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&words)),
		uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return words, errno
	}
	return words, nil
}
