// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// NTSTATUS is the result of every WSK function: a 32-bit code whose two top bits are the severity. The values are those
// of ntstatus.h, [MS-ERREF] section 2.3.
//
// It has an Error method so that errors.As finds it, but it is not passed around as an error: an error interface that
// contains STATUS_SUCCESS is not nil. [NTSTATUS.Err] is the only bridge.
type NTSTATUS uint32

// Severity is the meaning of the two top bits of an [NTSTATUS].
type Severity uint8

// Severities. The first two pass [NTSTATUS.Success].
const (
	SeveritySuccess Severity = iota
	SeverityInformational
	SeverityWarning
	SeverityError
)

// Success is NT_SUCCESS: severity success or informational. STATUS_PENDING, STATUS_TIMEOUT and STATUS_EVENT_PENDING
// pass; STATUS_BUFFER_OVERFLOW, a warning, does not.
func (s NTSTATUS) Success() bool { return s < 0x80000000 }

// Severity is NT_SEVERITY: the two top bits.
func (s NTSTATUS) Severity() Severity { return Severity(s >> 30) }

// Err is nil for a status that passes [NTSTATUS.Success], and the status itself for warnings and errors, known to this
// package or not. STATUS_PENDING passes too, although it is not a result yet.
func (s NTSTATUS) Err() error {
	if s.Success() {
		return nil
	}
	return s
}

// String is the name in ntstatus.h, or the value in hexadecimal when this package has no name for it.
func (s NTSTATUS) String() string {
	if t, ok := statusTexts[s]; ok {
		return t.name
	}
	return fmt.Sprintf("NTSTATUS(0x%08X)", uint32(s))
}

// Error says in words what happened, with name and value of the status for looking it up.
func (s NTSTATUS) Error() string {
	t, ok := statusTexts[s]
	if !ok {
		return s.String()
	}
	return fmt.Sprintf("%s (%s 0x%08X)", t.text, t.name, uint32(s))
}

// Is lets errors.Is compare a status with the errors that Go programs already test for: net.ErrClosed,
// context.Canceled, os.ErrPermission, os.ErrDeadlineExceeded and errors.ErrUnsupported.
func (s NTSTATUS) Is(target error) bool {
	switch s {
	case STATUS_FILE_FORCED_CLOSED, STATUS_FILE_CLOSED:
		return target == net.ErrClosed
	case STATUS_CANCELLED:
		return target == context.Canceled
	case STATUS_ACCESS_DENIED, STATUS_PRIVILEGE_NOT_HELD:
		return target == os.ErrPermission
	case STATUS_IO_TIMEOUT:
		return target == os.ErrDeadlineExceeded
	case STATUS_NOT_SUPPORTED, STATUS_NOT_IMPLEMENTED, STATUS_PROTOCOL_NOT_SUPPORTED:
		return target == errors.ErrUnsupported
	}
	return false
}
