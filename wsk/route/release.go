// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// kernelAtLeast compares the release of the running kernel.
func kernelAtLeast(major, minor int) bool {
	r := release()
	return r[0] > major || r[0] == major && r[1] >= minor
}

var release = sync.OnceValue(func() (r [2]int) {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return r
	}
	return parseRelease(unix.ByteSliceToString(u.Release[:]))
})

// parseRelease reads the two leading numbers of a release such as 6.12.4-amd64; 0 for what is no number.
func parseRelease(s string) (r [2]int) {
	for i := range r {
		n := strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' })
		if n < 0 {
			n = len(s)
		}
		r[i], _ = strconv.Atoi(s[:n])
		if n == len(s) || s[n] != '.' {
			break
		}
		s = s[n+1:]
	}
	return r
}
