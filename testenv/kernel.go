// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// KernelAtLeast reports whether the running kernel is of that version or a later one. A release that does not begin
// with two numbers is older than any.
func KernelAtLeast(major, minor int) bool {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return false
	}
	return releaseAtLeast(unix.ByteSliceToString(u.Release[:]), major, minor)
}

// RequireKernel skips a test that takes something that came with a kernel, and says what. Nobody has to have that kernel, so that this is no
// failure even where [Require] would make it one.
func RequireKernel(t TB, major, minor int, what string) {
	t.Helper()
	if !KernelAtLeast(major, minor) {
		Skipf(t, "%s came with Linux %d.%d", what, major, minor)
	}
}

func releaseAtLeast(release string, major, minor int) bool {
	var have [2]int
	_, err := fmt.Sscanf(release, "%d.%d", &have[0], &have[1])
	return err == nil && (have[0] > major || have[0] == major && have[1] >= minor)
}
