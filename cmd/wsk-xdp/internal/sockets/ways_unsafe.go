// SPDX-License-Identifier: Apache-2.0

package sockets

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxSegments is how many datagrams every kernel cuts a buffer into (UDP_MAX_SEGMENTS was 64 until Linux 6.9), and the largest
// buffer is what fits one IP packet.
const (
	MaxSegments  = 64
	maxSegmented = 65487
)

// address is a struct sockaddr_in or sockaddr_in6 as the kernel takes it.
type address struct {
	raw unix.RawSockaddrInet6 // the larger one
	len uint32
}

// newAddress writes an address. zone is the interface of a link-local one.
func newAddress(to netip.AddrPort, zone int) (a address) {
	port := binary.BigEndian.AppendUint16(nil, to.Port())
	if to.Addr().Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw)) // which is smaller
		four.Family, four.Addr = unix.AF_INET, to.Addr().As4()
		four.Port = binary.NativeEndian.Uint16(port)
		a.len = unix.SizeofSockaddrInet4
		return a
	}
	a.raw.Family, a.raw.Addr, a.raw.Scope_id = unix.AF_INET6, to.Addr().As16(), scope(to.Addr(), zone)
	a.raw.Port = binary.NativeEndian.Uint16(port)
	a.len = unix.SizeofSockaddrInet6
	return a
}

// scope is the interface of an address that means something on one link only.
func scope(a netip.Addr, zone int) uint32 {
	if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast() {
		return uint32(zone)
	}
	return 0
}

// sendTo is sendto(2), which package unix has for Sockaddr only.
func sendTo(fd int, to *address, b []byte) error {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0,
		uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	if errno != 0 {
		return errno
	}
	return nil
}

// single is a call for each datagram.
type single struct{}

func (single) most(int) int { return 1 }

func (single) send(fd int, to *address, body []byte, _ []int) (int, bool, error) {
	if err := sendTo(fd, to, body); err != nil {
		return 0, true, err
	}
	return 1, true, nil
}

// segments is a call for a buffer that the kernel cuts into datagrams of a size.
type segments struct{ size int }

func (s segments) most(batch int) int { return max(min(batch, MaxSegments, maxSegmented/s.size), 1) }

func (s segments) send(fd int, to *address, body []byte, sizes []int) (int, bool, error) {
	if err := sendTo(fd, to, body); err != nil {
		return 0, true, err // of all of them none has left
	}
	return len(sizes), true, nil
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// vector is a call for several datagrams. What the kernel reads is heap memory, which Go's collector does not move, and which
// the vector and its caller hold.
type vector struct {
	messages []mmsghdr
	pieces   []unix.Iovec
}

func newVector(n int) *vector {
	v := &vector{make([]mmsghdr, n), make([]unix.Iovec, n)}
	for i := range v.messages {
		h := &v.messages[i].hdr
		h.Iov = &v.pieces[i]
		h.SetIovlen(1)
	}
	return v
}

func (v *vector) most(batch int) int { return min(batch, len(v.messages)) }

func (v *vector) send(fd int, to *address, body []byte, sizes []int) (int, bool, error) {
	at := 0
	for i, size := range sizes {
		v.pieces[i].Base = unsafe.SliceData(body[at:])
		v.pieces[i].SetLen(size)
		h := &v.messages[i].hdr
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&to.raw)), to.len
		at += size
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&v.messages[0])), uintptr(len(sizes)), 0, 0, 0)
	if errno != 0 {
		return 0, false, errno
	}
	return int(n), false, nil
}
