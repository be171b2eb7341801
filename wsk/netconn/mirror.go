// SPDX-License-Identifier: Apache-2.0

package netconn

import "sync"

// mirror is the socket of the kernel that [Conn.SyscallConn] gives, and the options that it had when it was last looked
// at. It is bound to nothing, so that nothing is read from it or sent by it: it is there to be asked and told.
type mirror struct {
	mu      sync.Mutex
	open    bool
	closed  bool
	fd      int
	values  []int // by the table of options
	release func(fd int)
}

// close closes the socket, and has none opened any more.
func (m *mirror) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open {
		m.release(m.fd)
	}
	m.open, m.closed = false, true
}
