// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Exec becomes another program under the filter, like what systemd does: the program's first system call is judged
// already. It returns only when it fails.
func (f Filter) Exec(program string, argv, env []string) error {
	runtime.LockOSThread() // the filter is this thread's, and so is the call that begins the program
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	p := unix.SockFprog{Len: uint16(len(f)), Filter: unsafe.SliceData(f)}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&p)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return syscall.Exec(program, argv, env)
}
