// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// messages is how many one call may take.
const messages = 64

type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

type mmsgReceiver struct {
	fd      int
	closing atomic.Bool
	done    chan error

	headers [messages]mmsghdr
	iovecs  [messages]unix.Iovec
	from    [messages]unix.RawSockaddrInet4
	data    [messages][2048]byte
}

func (r *mmsgReceiver) serve(size int, count func(int)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range r.headers {
		h := &r.headers[i].hdr
		r.iovecs[i].Base = &r.data[i][0]
		r.iovecs[i].SetLen(len(r.data[i]))
		h.Iov = &r.iovecs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&r.from[i]))
	}
	for !r.closing.Load() {
		for i := range r.headers {
			r.headers[i].hdr.Namelen = unix.SizeofSockaddrInet4
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&r.headers[0])), messages,
			unix.MSG_WAITFORONE, 0, 0)
		if errno == unix.EAGAIN || errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("recvmmsg: %w", errno)
		}
		good := 0
		for i := range n {
			if look(r.data[i][:min(r.headers[i].n, 2048)], size) {
				good++
			}
		}
		count(good)
	}
	return nil
}

func (r *mmsgReceiver) close() error {
	r.closing.Store(true)
	return errors.Join(<-r.done, unix.Close(r.fd))
}
