// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Literal numbers, typed in from the table and not from the constants.
func TestNTSTATUSValues(t *testing.T) {
	values := map[wsk.NTSTATUS]uint32{
		wsk.STATUS_SUCCESS: 0, wsk.STATUS_TIMEOUT: 0x102, wsk.STATUS_PENDING: 0x103, wsk.STATUS_EVENT_PENDING: 0x40000013,
		wsk.STATUS_DATATYPE_MISALIGNMENT: 0x80000002, wsk.STATUS_BUFFER_OVERFLOW: 0x80000005,
		wsk.STATUS_UNSUCCESSFUL: 0xC0000001, wsk.STATUS_NOT_IMPLEMENTED: 0xC0000002,
		wsk.STATUS_INFO_LENGTH_MISMATCH: 0xC0000004, wsk.STATUS_ACCESS_VIOLATION: 0xC0000005,
		wsk.STATUS_INVALID_HANDLE: 0xC0000008, wsk.STATUS_INVALID_PARAMETER: 0xC000000D,
		wsk.STATUS_NO_SUCH_DEVICE: 0xC000000E, wsk.STATUS_INVALID_DEVICE_REQUEST: 0xC0000010,
		wsk.STATUS_MORE_PROCESSING_REQUIRED: 0xC0000016, wsk.STATUS_NO_MEMORY: 0xC0000017,
		wsk.STATUS_CONFLICTING_ADDRESSES: 0xC0000018, wsk.STATUS_ACCESS_DENIED: 0xC0000022,
		wsk.STATUS_BUFFER_TOO_SMALL: 0xC0000023, wsk.STATUS_OBJECT_TYPE_MISMATCH: 0xC0000024,
		wsk.STATUS_INVALID_PARAMETER_MIX: 0xC0000030, wsk.STATUS_SHARING_VIOLATION: 0xC0000043,
		wsk.STATUS_PRIVILEGE_NOT_HELD:     0xC0000061,
		wsk.STATUS_INSUFFICIENT_RESOURCES: 0xC000009A, wsk.STATUS_DEVICE_NOT_READY: 0xC00000A3,
		wsk.STATUS_IO_TIMEOUT: 0xC00000B5, wsk.STATUS_FILE_FORCED_CLOSED: 0xC00000B6,
		wsk.STATUS_NOT_SUPPORTED: 0xC00000BB, wsk.STATUS_BAD_NETWORK_PATH: 0xC00000BE,
		wsk.STATUS_NETWORK_BUSY: 0xC00000BF, wsk.STATUS_REQUEST_NOT_ACCEPTED: 0xC00000D0,
		wsk.STATUS_CANCELLED: 0xC0000120, wsk.STATUS_FILE_CLOSED: 0xC0000128,
		wsk.STATUS_INVALID_CONNECTION: 0xC0000140, wsk.STATUS_INVALID_ADDRESS: 0xC0000141,
		wsk.STATUS_INVALID_DEVICE_STATE: 0xC0000184, wsk.STATUS_INVALID_BUFFER_SIZE: 0xC0000206,
		wsk.STATUS_INVALID_ADDRESS_COMPONENT: 0xC0000207, wsk.STATUS_INVALID_ADDRESS_WILDCARD: 0xC0000208,
		wsk.STATUS_TOO_MANY_ADDRESSES: 0xC0000209, wsk.STATUS_ADDRESS_ALREADY_EXISTS: 0xC000020A,
		wsk.STATUS_ADDRESS_CLOSED: 0xC000020B, wsk.STATUS_CONNECTION_DISCONNECTED: 0xC000020C,
		wsk.STATUS_CONNECTION_RESET: 0xC000020D, wsk.STATUS_DATA_NOT_ACCEPTED: 0xC000021B,
		wsk.STATUS_NOT_FOUND: 0xC0000225, wsk.STATUS_CONNECTION_REFUSED: 0xC0000236,
		wsk.STATUS_ADDRESS_ALREADY_ASSOCIATED: 0xC0000238, wsk.STATUS_ADDRESS_NOT_ASSOCIATED: 0xC0000239,
		wsk.STATUS_NETWORK_UNREACHABLE: 0xC000023C, wsk.STATUS_HOST_UNREACHABLE: 0xC000023D,
		wsk.STATUS_PROTOCOL_UNREACHABLE: 0xC000023E, wsk.STATUS_PORT_UNREACHABLE: 0xC000023F,
		wsk.STATUS_REQUEST_ABORTED: 0xC0000240, wsk.STATUS_CONNECTION_ABORTED: 0xC0000241,
		wsk.STATUS_NO_MATCH: 0xC0000272, wsk.STATUS_NOINTERFACE: 0xC00002B9, wsk.STATUS_HOST_DOWN: 0xC0000350,
		wsk.STATUS_ALREADY_REGISTERED: 0xC0000718, wsk.STATUS_HOPLIMIT_EXCEEDED: 0xC000A012,
		wsk.STATUS_PROTOCOL_NOT_SUPPORTED: 0xC000A013,
	}
	for status, value := range values {
		if uint32(status) != value {
			t.Errorf("%v is 0x%08X, want 0x%08X", status, uint32(status), value)
		}
		if len(status.String()) < 7 || status.String()[:7] != "STATUS_" {
			t.Errorf("0x%08X has no name: %v", value, status)
		}
	}
}

func TestNTSTATUSSeverity(t *testing.T) {
	for _, c := range []struct {
		status   wsk.NTSTATUS
		success  bool
		severity wsk.Severity
	}{
		{wsk.STATUS_SUCCESS, true, wsk.SeveritySuccess},
		{wsk.STATUS_PENDING, true, wsk.SeveritySuccess},
		{wsk.STATUS_EVENT_PENDING, true, wsk.SeverityInformational},
		{wsk.STATUS_BUFFER_OVERFLOW, false, wsk.SeverityWarning},
		{wsk.STATUS_CANCELLED, false, wsk.SeverityError},
		{0xE0001234, false, wsk.SeverityError},
	} {
		if c.status.Success() != c.success || c.status.Severity() != c.severity {
			t.Errorf("%v: success %v, severity %d", c.status, c.status.Success(), c.status.Severity())
		}
		if err := c.status.Err(); (err == nil) != c.success {
			t.Errorf("%v: Err is %v", c.status, err)
		}
	}
}

func TestNTSTATUSErrors(t *testing.T) {
	for _, c := range []struct {
		status wsk.NTSTATUS
		target error
	}{
		{wsk.STATUS_FILE_FORCED_CLOSED, net.ErrClosed},
		{wsk.STATUS_FILE_CLOSED, net.ErrClosed},
		{wsk.STATUS_CANCELLED, context.Canceled},
		{wsk.STATUS_ACCESS_DENIED, os.ErrPermission},
		{wsk.STATUS_ACCESS_DENIED, fs.ErrPermission},
		{wsk.STATUS_PRIVILEGE_NOT_HELD, os.ErrPermission},
		{wsk.STATUS_IO_TIMEOUT, os.ErrDeadlineExceeded},
		{wsk.STATUS_NOT_SUPPORTED, errors.ErrUnsupported},
	} {
		if !errors.Is(c.status.Err(), c.target) {
			t.Errorf("%v is not %v", c.status, c.target)
		}
		if errors.Is(wsk.STATUS_HOST_UNREACHABLE.Err(), c.target) {
			t.Errorf("STATUS_HOST_UNREACHABLE is %v", c.target)
		}
	}
	var status wsk.NTSTATUS
	if !errors.As(wsk.STATUS_CANCELLED.Err(), &status) || status != wsk.STATUS_CANCELLED {
		t.Error("errors.As does not find the status")
	}
	// A failure code that is not in the table stays a failure and shows its value.
	unknown := wsk.NTSTATUS(0xC00ABCDE)
	if unknown.Err() == nil || unknown.Error() != "NTSTATUS(0xC00ABCDE)" {
		t.Errorf("unknown status: %v", unknown.Err())
	}
	if got := wsk.STATUS_CANCELLED.Error(); got != "cancelled (STATUS_CANCELLED 0xC0000120)" {
		t.Errorf("text: %q", got)
	}
}
