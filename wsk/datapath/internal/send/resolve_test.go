// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"
	"fmt"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// TestResolveStatus: what the routing table says of a destination ends its operations in a status that names the cause.
func TestResolveStatus(t *testing.T) {
	named := wsk.Destination{IfIndex: 1}
	for _, tc := range []struct {
		err  error
		to   wsk.Destination
		want wsk.NTSTATUS
	}{
		{route.ErrNoDevice, wsk.Destination{}, wsk.STATUS_FILE_FORCED_CLOSED},
		{route.ErrNoDevice, named, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{route.ErrScope, wsk.Destination{}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{route.ErrSource, wsk.Destination{}, wsk.STATUS_INVALID_ADDRESS_COMPONENT},
		{route.ErrUnreachable, wsk.Destination{}, wsk.STATUS_HOST_UNREACHABLE},
		{route.ErrHostUnreachable, wsk.Destination{}, wsk.STATUS_HOST_UNREACHABLE},
		{route.ErrProhibited, wsk.Destination{}, wsk.STATUS_ACCESS_DENIED},
		{route.ErrBlackhole, wsk.Destination{}, wsk.STATUS_INVALID_PARAMETER},
		{route.ErrNeighbourTableFull, wsk.Destination{}, wsk.STATUS_INSUFFICIENT_RESOURCES},
		{route.ErrTooManyWaiting, wsk.Destination{}, wsk.STATUS_INSUFFICIENT_RESOURCES},
		{errors.New("anything else"), wsk.Destination{}, wsk.STATUS_NETWORK_UNREACHABLE},
	} {
		if got := resolveStatus(fmt.Errorf("resolve: %w", tc.err), &tc.to, false); got != tc.want {
			t.Errorf("%v to %d: %v, want %v", tc.err, tc.to.IfIndex, got, tc.want)
		}
	}
}
