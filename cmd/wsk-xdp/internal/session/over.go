// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net"

	"github.com/wsk-xdp/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// IsOver reports whether nothing can be sent any more, after a send that ended in status: the sockets have died with the address that they
// are bound to, or the interface that was asked for is gone. Sockets of no address go on, as the kernel's do: what they send takes the
// way that there is, and fails for as long as there is none.
func (s *Session) IsOver(status wsk.NTSTATUS) bool {
	if s.bound && status == wsk.STATUS_FILE_FORCED_CLOSED {
		return true
	}
	return s.named && s.InterfaceGone()
}

// InterfaceGone reports whether the interface of the way has been deleted since the session was opened. One that was made anew is
// another.
func (s *Session) InterfaceGone() bool {
	if s.WayErr != nil {
		return false
	}
	gone := false
	err := netns.Do(s.netns, func() error {
		i, err := net.InterfaceByIndex(s.Way.Interface.Index)
		gone = err != nil || i.Name != s.Way.Interface.Name
		return nil
	})
	return err == nil && gone
}
