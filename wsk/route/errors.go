// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"fmt"
	"net"
)

// What callers branch on. Errors returned by this package wrap one of these together with the errno of the kernel,
// where there was one; both are reached by errors.Is.
var (
	// ErrNoRoute says that the kernel has no way to the destination. Alone it comes with ENETUNREACH: no route, one of type
	// throw, or a rule that says unreachable. The next three are ErrNoRoute too. In a Windows program ErrNoRoute is
	// STATUS_NETWORK_UNREACHABLE.
	ErrNoRoute = errors.New("no route to the destination")

	// ErrHostUnreachable: a route of type unreachable (EHOSTUNREACH). STATUS_HOST_UNREACHABLE.
	ErrHostUnreachable = fmt.Errorf("unreachable by a route: %w", ErrNoRoute)

	// ErrProhibited: a route or rule of type prohibit (EACCES). STATUS_ACCESS_DENIED.
	ErrProhibited = fmt.Errorf("prohibited by a route or rule: %w", ErrNoRoute)

	// ErrBlackhole: a route or rule of type blackhole (EINVAL). STATUS_INVALID_PARAMETER.
	ErrBlackhole = fmt.Errorf("blackhole: %w", ErrNoRoute)

	// ErrSource says that the wanted source address is not an address of this host, or not one of the wanted interface.
	ErrSource = errors.New("source address is not usable")

	// ErrNoDevice says that there is no such interface in the namespace.
	ErrNoDevice = errors.New("no such network interface")

	// ErrScope says that a link-local destination came without an interface, or with two different ones. It is an ErrNoDevice.
	ErrScope = fmt.Errorf("link-local address needs exactly one interface: %w", ErrNoDevice)

	// ErrUnreachable says that a neighbour did not answer.
	ErrUnreachable = errors.New("neighbour does not answer")

	// ErrClosed says that the table has been closed.
	ErrClosed = net.ErrClosed
)
