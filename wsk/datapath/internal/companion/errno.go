// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// errnoStatus translates what the kernel's own stack says.
func errnoStatus(err error) wsk.NTSTATUS {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return wsk.STATUS_UNSUCCESSFUL
	}
	switch errno {
	case unix.EMSGSIZE:
		return wsk.STATUS_INVALID_BUFFER_SIZE
	case unix.ENETUNREACH:
		return wsk.STATUS_NETWORK_UNREACHABLE
	case unix.EHOSTUNREACH:
		return wsk.STATUS_HOST_UNREACHABLE
	case unix.EADDRINUSE:
		return wsk.STATUS_ADDRESS_ALREADY_EXISTS
	case unix.EADDRNOTAVAIL:
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	case unix.EACCES, unix.EPERM:
		return wsk.STATUS_ACCESS_DENIED
	case unix.ENOBUFS, unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return wsk.STATUS_INSUFFICIENT_RESOURCES
	case unix.ECONNREFUSED:
		return wsk.STATUS_PORT_UNREACHABLE
	case unix.EOPNOTSUPP, unix.EAFNOSUPPORT:
		return wsk.STATUS_NOT_SUPPORTED
	case unix.ENETDOWN:
		return wsk.STATUS_NETWORK_UNREACHABLE
	case unix.ECANCELED:
		return wsk.STATUS_CANCELLED
	case unix.ENODEV, unix.ENXIO:
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	default:
		return wsk.STATUS_INVALID_PARAMETER
	}
}

// bindStatus is the status of a WskBind that this package or the kernel refused.
func bindStatus(err error) wsk.NTSTATUS {
	if errors.Is(err, errNoPort) {
		return wsk.STATUS_TOO_MANY_ADDRESSES
	}
	var shared sharingError
	if errors.As(err, &shared) {
		return wsk.NTSTATUS(shared)
	}
	return errnoStatus(err)
}

// memberStatus translates what the kernel says to a membership (ip(7)).
func memberStatus(err error) wsk.NTSTATUS {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return wsk.STATUS_ADDRESS_ALREADY_EXISTS
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return wsk.STATUS_NOT_FOUND
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	return errnoStatus(err)
}

var errNoPort = errors.New("no free port in the dynamic range")

// sharingError carries a status of the sharing matrix through an error.
type sharingError wsk.NTSTATUS

func (e sharingError) Error() string {
	return "address is held by another socket: " + wsk.NTSTATUS(e).String()
}
