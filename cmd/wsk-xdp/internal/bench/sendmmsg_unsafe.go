// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// mmsgVector is a vector of messages that share one payload. All of it is heap memory that it holds itself, so that
// the addresses in it stay good; Go's collector does not move heap objects.
type mmsgVector struct {
	msgs    []mmsghdr
	iov     unix.Iovec
	addrs   []unix.RawSockaddrInet4
	payload []byte
}

func newMmsgVector(payload []byte, to []netip.AddrPort, n int) *mmsgVector {
	v := &mmsgVector{msgs: make([]mmsghdr, n), addrs: make([]unix.RawSockaddrInet4, len(to)), payload: payload}
	for i, ap := range to {
		a := &v.addrs[i]
		a.Family, a.Addr = unix.AF_INET, ap.Addr().As4()
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&a.Port))[:], ap.Port())
	}
	v.iov.Base = unsafe.SliceData(payload)
	v.iov.SetLen(len(payload))
	for i := range v.msgs {
		h := &v.msgs[i].hdr
		h.Iov = &v.iov
		h.SetIovlen(1)
		h.Namelen = unix.SizeofSockaddrInet4
		v.aim(i, 0)
	}
	return v
}

// aim sets the destination of message i.
func (v *mmsgVector) aim(i, target int) {
	v.msgs[i].hdr.Name = (*byte)(unsafe.Pointer(&v.addrs[target]))
}

// send returns how many messages the kernel took.
func (v *mmsgVector) send(fd int) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&v.msgs[0])), uintptr(len(v.msgs)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
