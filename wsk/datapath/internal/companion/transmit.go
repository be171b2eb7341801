// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	// sureAfter is how often sendmsg fails with nothing in the error queue before its error is taken for its own.
	sureAfter = 3
	// maxAttempts bounds the attempts to send a datagram while errors of others keep coming.
	maxAttempts = 1000
)

// outlet is a companion socket with memory for what one call hands to it: control data and the pieces of the payload. One goroutine
// uses it.
type outlet struct {
	socket  *socket
	pieces  [][]byte
	control []byte
}

// transmit hands the pieces to the kernel, with control data.
//
// The kernel reports an ICMP error that has come for one peer as the error of the next call, whatever peer that is for,
// and does nothing else then. What the error says of the first peer is in the error queue, which the reader takes it from;
// here it means that the datagram is still to be sent. So sendmsg is called again until it fails for a reason of its own.
func (o *outlet) transmit(to unix.Sockaddr, control []byte) error {
	var sent error
	err := o.socket.raw.Write(func(fd uintptr) bool {
		alone := 0
		for range maxAttempts {
			_, sent = unix.SendmsgBuffers(int(fd), o.pieces, control, to, unix.MSG_DONTWAIT)
			if !maybePending(sent) {
				break
			}
			if hasErrors(int(fd)) {
				alone = 0
				runtime.Gosched() // the reader empties the queue
				continue
			}
			if alone++; alone == sureAfter {
				break
			}
		}
		return !errors.Is(sent, unix.EAGAIN)
	})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
		return unix.ECANCELED
	case err != nil:
		return err
	}
	return sent
}

// maybePending reports whether an error is one that an ICMP message can cause (the kernel's icmp_err_convert and its
// equivalent for ICMPv6).
func maybePending(err error) bool {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENOPROTOOPT, unix.ECONNREFUSED, unix.EMSGSIZE, unix.EOPNOTSUPP,
		unix.ENONET, unix.EHOSTDOWN, unix.EACCES, unix.EPROTO:
		return true
	}
	return false
}

// hasErrors reports whether an error is pending on a socket, or its error queue has entries.
func hasErrors(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
}
