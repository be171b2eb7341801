// SPDX-License-Identifier: Apache-2.0

//go:build race && !(linux && (amd64 || arm64))

package lockrank

import (
	"runtime"
	"strconv"
	"strings"
)

// self is the number of the calling goroutine, out of the head of its stack trace, which takes some microseconds.
func self() uintptr {
	var buf [64]byte
	text := string(buf[:runtime.Stack(buf[:], false)])
	number, _, _ := strings.Cut(strings.TrimPrefix(text, "goroutine "), " ")
	g, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		panic("lockrank: no number in " + text)
	}
	return uintptr(g)
}
