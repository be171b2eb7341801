// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"testing"
)

// FuzzControlMessages: the parser of control messages stays inside what it gets.
func FuzzControlMessages(f *testing.F) {
	f.Add(appendInt(appendCmsg(nil, 0, 8, make([]byte, 12)), 41, 52, 3))
	f.Add(appendCmsg(nil, 0, 11, make([]byte, 32)))
	f.Add([]byte{16, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var a ancillary
		a.parse(b[:len(b):len(b)])
		kernelAddress(b[:len(b):len(b)])
	})
}
