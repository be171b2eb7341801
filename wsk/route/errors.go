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
	// ErrNoRoute says that the kernel has no way to the destination: no route (ENETUNREACH), or a route of type
	// unreachable (EHOSTUNREACH), prohibit (EACCES) or blackhole (EINVAL).
	ErrNoRoute = errors.New("no route to the destination")

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
