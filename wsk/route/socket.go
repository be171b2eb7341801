// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"os"

	"golang.org/x/sys/unix"
)

// OfSocket fills in what routing asks of a socket besides its addresses, from a socket that is open: Bound, which `ip vrf exec` and the
// scope of a bound link-local address set too, Mark, and Owner.
func (q *Query) OfSocket(fd int) error {
	bound, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_BINDTOIFINDEX", err)
	}
	mark, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_MARK", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	q.Bound, q.Mark, q.Owner = bound, uint32(mark), OwnerUID(st.Uid)
	return nil
}
