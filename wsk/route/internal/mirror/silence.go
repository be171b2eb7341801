// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import "os"

// silence is the setting by which IPv6, too, takes routes out without a word. It is of the namespace in which it was
// opened.
type silence struct{ file *os.File }

func openSilence() *silence {
	file, _ := os.Open("/proc/sys/net/ipv6/route/skip_notify_on_dev_down")
	return &silence{file} // a kernel without it says everything
}

func (s *silence) on() bool {
	var b [1]byte
	if s.file == nil {
		return false
	}
	n, _ := s.file.ReadAt(b[:], 0)
	return n == 1 && b[0] != '0'
}

func (s *silence) close() { s.file.Close() } // nil is allowed
