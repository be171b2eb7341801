// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// isLasting reports whether what has befallen one datagram will befall the next one to the same destination, too, so that
// the kernel would have said so at once.
func isLasting(status wsk.NTSTATUS) bool {
	switch status {
	case wsk.STATUS_ACCESS_DENIED, wsk.STATUS_INVALID_BUFFER_SIZE, wsk.STATUS_INVALID_ADDRESS_COMPONENT,
		wsk.STATUS_INVALID_PARAMETER, wsk.STATUS_FILE_FORCED_CLOSED:
		return true
	}
	return false
}

// lateError is why a datagram did not leave whose write had returned.
type lateError struct {
	to     netip.AddrPort
	status wsk.NTSTATUS
	errno  error // instead of that of the status
}
