// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// mark is SO_MARK of a companion socket.
type mark struct {
	socket *socket

	mu   lockrank.Mutex[locks.MarkMu]
	born uint32 // the one that the socket was made with
	has  uint32 // the one that it has
}

func (m *mark) init(s *socket) {
	m.socket = s
	_ = s.control(func(fd int) error {
		v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK)
		m.born, m.has = uint32(v), uint32(v)
		return err
	})
}

// change has the socket take the mark of the destinations to come, so that what the kernel learns from ICMP errors it learns
// of the route that the mark chooses. Where something is being sent by the socket it is only found out whether marks may be
// set: the operation that wants it sets it.
func (m *mark) change(of uint32, isSending func() bool) wsk.NTSTATUS {
	m.mu.Lock()
	defer m.mu.Unlock()
	want := m.wanted(of)
	if isSending() { // what begins later waits for the lock
		want = m.has
	}
	err := m.store(want)
	switch {
	case err == nil:
		return wsk.STATUS_SUCCESS
	case errors.Is(err, unix.EPERM):
		return wsk.STATUS_PRIVILEGE_NOT_HELD
	}
	return errnoStatus(err)
}

// set gives the socket the mark of a destination.
func (m *mark) set(of uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if want := m.wanted(of); want != m.has {
		return m.store(want)
	}
	return nil
}

// wanted is the mark of the socket for datagrams with that of a destination, where 0 is none of its own.
func (m *mark) wanted(of uint32) uint32 {
	if of == 0 {
		return m.born
	}
	return of
}

// store sets the option. The lock is held.
func (m *mark) store(v uint32) error {
	lockrank.AssertMay(locks.Ask, "to set the mark of a kernel socket")
	err := m.socket.control(func(fd int) error {
		return os.NewSyscallError("setsockopt SO_MARK", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(v)))
	})
	if err == nil {
		m.has = v
	}
	return err
}
