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

	// ErrNeighbourTableFull says that the kernel takes no more neighbours (ENOBUFS): see net.ipv4.neigh.default.gc_thresh3 and
	// net.ipv6.neigh.default.gc_thresh3. STATUS_INSUFFICIENT_RESOURCES.
	ErrNeighbourTableFull = errors.New("the kernel's neighbour table is full (sysctl net.ipv4.neigh.default.gc_thresh3, net.ipv6…)")

	// ErrTooManyWaiting says that Options.MaxWaiting wait for neighbours already. STATUS_INSUFFICIENT_RESOURCES.
	ErrTooManyWaiting = errors.New("too many wait for neighbours")

	// ErrClosed says that the table has been closed.
	ErrClosed = net.ErrClosed
)
