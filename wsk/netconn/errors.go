// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// StatusError is a WSK call that ended with a failure. errors.As finds it inside the *net.OpError of a [Conn]'s methods,
// and also its Status, a wsk.NTSTATUS, and the *os.SyscallError and syscall.Errno that a program over package net would
// have met: ECONNREFUSED, EMSGSIZE, ENETUNREACH, EHOSTUNREACH, EADDRINUSE, EADDRNOTAVAIL, EACCES, EPERM and others. errors.Is
// finds these, and what wsk.NTSTATUS itself compares with, such as net.ErrClosed.
type StatusError struct {
	Call   string // the WSK function
	Status wsk.NTSTATUS

	errno error // instead of that of the status
}

// Error names the call and its outcome.
func (e *StatusError) Error() string { return e.Call + ": " + e.Status.Error() }

// Unwrap gives the status and the system error as errors.
func (e *StatusError) Unwrap() []error {
	errs := []error{e.Status.Err()}
	errno, ok := systemErrors[e.Status]
	if e.errno != nil {
		errno, ok = e.errno, true
	}
	if ok {
		errs = append(errs, os.NewSyscallError(systemCalls[e.Call], errno))
	}
	return errs
}

// systemCalls are the calls of Linux that do what a function of WSK does.
var systemCalls = map[string]string{
	"WskSocket": "socket", "WskBind": "bind", "WskControlSocket": "setsockopt", "WskGetLocalAddress": "getsockname",
	"WskSendTo": "sendto", "WskSendMessages": "sendmmsg", "WskReceiveFrom": "recvfrom", "WskCloseSocket": "close",
}

// systemErrors are the system errors of Linux that stand for a status.
var systemErrors = map[wsk.NTSTATUS]error{
	wsk.STATUS_ACCESS_DENIED:             syscall.EACCES,
	wsk.STATUS_ADDRESS_ALREADY_EXISTS:    syscall.EADDRINUSE,
	wsk.STATUS_CONNECTION_REFUSED:        syscall.ECONNREFUSED,
	wsk.STATUS_CONNECTION_RESET:          syscall.ECONNRESET,
	wsk.STATUS_HOPLIMIT_EXCEEDED:         syscall.EHOSTUNREACH,
	wsk.STATUS_HOST_DOWN:                 syscall.EHOSTDOWN,
	wsk.STATUS_HOST_UNREACHABLE:          syscall.EHOSTUNREACH,
	wsk.STATUS_INSUFFICIENT_RESOURCES:    syscall.ENOBUFS,
	wsk.STATUS_INVALID_ADDRESS_COMPONENT: syscall.EADDRNOTAVAIL,
	wsk.STATUS_INVALID_BUFFER_SIZE:       syscall.EMSGSIZE,
	wsk.STATUS_INVALID_PARAMETER:         syscall.EINVAL,
	wsk.STATUS_NETWORK_UNREACHABLE:       syscall.ENETUNREACH,
	wsk.STATUS_PORT_UNREACHABLE:          syscall.ECONNREFUSED,
	wsk.STATUS_PRIVILEGE_NOT_HELD:        syscall.EPERM,
	wsk.STATUS_PROTOCOL_UNREACHABLE:      syscall.ENOPROTOOPT,
	wsk.STATUS_SHARING_VIOLATION:         syscall.EADDRINUSE,
	wsk.STATUS_TOO_MANY_ADDRESSES:        syscall.EADDRINUSE,
}

// isUnsupported reports whether an opening failed because the host does not have that version of IP.
func isUnsupported(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Status == wsk.STATUS_NOT_SUPPORTED
}

var errMissingAddress = errors.New("missing address")

// opError wraps err for a method of the connection. to is the destination of a write; nil means the fixed remote.
func (c *Conn) opError(op string, to net.Addr, err error) error {
	if to == nil && c.remote != nil {
		to = c.remote
	}
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: to, Err: err}
}

// statusError is nil for a success.
func statusError(call string, status wsk.NTSTATUS) error {
	if status.Success() {
		return nil
	}
	return &StatusError{Call: call, Status: status}
}
