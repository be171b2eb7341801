// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"os"

	"golang.org/x/sys/unix"
)

// OrdinaryUser is the user, and the group, that a test may run programs as to be without privilege: one for each process, since
// locked memory is counted by user, and tests of other packages run at the same time. It owns nothing.
func OrdinaryUser() uint32 { return 1<<20 + uint32(os.Getpid()) }

// usualMemlock is the locked memory that an ordinary user has on most systems. It was 64 KiB in Linux 5.10, which holds
// no UMEM.
const usualMemlock = 8 << 20

// UsualMemlockT gives what the test starts the usual amount of locked memory, where the limit is lower and this process
// may raise it. At the end of the test the limit is what it was.
func UsualMemlockT(t TB) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		t.Fatalf("%v", err)
	}
	if old.Cur >= usualMemlock {
		return
	}
	more := unix.Rlimit{Cur: usualMemlock, Max: max(usualMemlock, old.Max)}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &more); err != nil {
		t.Logf("to raise the limit of locked memory: %v", err)
		return
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old) })
}
