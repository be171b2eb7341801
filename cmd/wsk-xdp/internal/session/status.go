// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// WayStatus is the status in which a datagram ends that has no way, by the error of Survey.
func WayStatus(err error) wsk.NTSTATUS {
	switch {
	case errors.Is(err, route.ErrProhibited):
		return wsk.STATUS_ACCESS_DENIED
	case errors.Is(err, route.ErrBlackhole):
		return wsk.STATUS_INVALID_PARAMETER
	case errors.Is(err, route.ErrHostUnreachable):
		return wsk.STATUS_HOST_UNREACHABLE
	case errors.Is(err, route.ErrSource), errors.Is(err, route.ErrNoDevice), errors.Is(err, route.ErrScope):
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	return wsk.STATUS_NETWORK_UNREACHABLE
}
