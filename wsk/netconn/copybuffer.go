// SPDX-License-Identifier: Apache-2.0

package netconn

import "sync"

// largest is the largest datagram that is copied. What is larger is refused anyway.
const largest = 1 << 16

// large are buffers for what is longer than an op keeps room for.
var large = sync.Pool{New: func() any { return new([largest]byte) }}

// keptRoom is the room for a datagram that an idle op keeps.
const keptRoom = 2048

// roomFor rounds up, so that datagrams of about the same size find room in one another's memory.
func roomFor(n int) int {
	size := 128
	for size < n {
		size *= 2
	}
	return size
}
