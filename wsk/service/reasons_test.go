// SPDX-License-Identifier: Apache-2.0

package service

import (
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// TestReasonOfBind: a port that the daemon itself may not have is not in use by another.
func TestReasonOfBind(t *testing.T) {
	for _, tt := range []struct {
		status     wsk.NTSTATUS
		port       uint16
		privileged bool
		reason     ipc.Reason
		text       string
	}{
		{wsk.STATUS_ADDRESS_ALREADY_EXISTS, 53, false, ipc.ReasonPortInUse, ""},
		{wsk.STATUS_SHARING_VIOLATION, 53, false, ipc.ReasonPortInUse, ""},
		{wsk.STATUS_ACCESS_DENIED, 53, true, ipc.ReasonPortInUse, ""},
		{wsk.STATUS_ACCESS_DENIED, 1024, false, ipc.ReasonPortInUse, ""},
		{wsk.STATUS_ACCESS_DENIED, 0, false, ipc.ReasonPortInUse, ""},
		{wsk.STATUS_ACCESS_DENIED, 53, false, ipc.ReasonNone, "CAP_NET_BIND_SERVICE"},
		{wsk.STATUS_INVALID_ADDRESS_COMPONENT, 53, false, ipc.ReasonAddressNotLocal, ""},
	} {
		reason, text := reasonOfBind(tt.status, tt.port, func(port uint16) bool { return tt.privileged || port >= 1024 })
		if reason != tt.reason || !strings.Contains(text, tt.text) || (tt.text == "") != (text == "") {
			t.Errorf("%v on port %d: %v, %q, want %v, %q", tt.status, tt.port, reason, text, tt.reason, tt.text)
		}
	}
}
