// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// checkInterface tells a missing interface from a missing route, which the kernel doesn't do for IPv6.
func (t *Table) checkInterface(q Query, r *requester) error {
	if q.Interface == 0 {
		return nil
	}
	if _, ok := t.Device(q.Interface); ok {
		return nil
	}
	if _, err := r.device(q.Interface); errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("route to %v by interface %d: %w", q.Dst, q.Interface, ErrNoDevice)
	}
	return nil
}

// checkSource tells a wrong source from a missing route: the kernel answers EINVAL for the first and for blackholes,
// and doesn't look at an IPv6 source at all.
func (t *Table) checkSource(q Query, r *requester) error {
	if !q.Src.IsValid() {
		return nil
	}
	s := t.snap.Load()
	if !t.IsLocal(q.Src) {
		// The address may be so new that it hasn't been announced yet.
		a, err := r.route(Query{Dst: q.Src, Interface: linkLocalInterface(q)})
		if err != nil || a.typ != unix.RTN_LOCAL {
			return fmt.Errorf("route to %v from %v: %w: not an address of this host", q.Dst, q.Src, ErrSource)
		}
		return nil
	}
	if q.Interface == 0 || s.addressOn(q.Src, q.Interface) {
		return nil
	}
	if s.isLoopback(q.Interface) || !q.Src.IsLinkLocalUnicast() && s.onLoopback(q.Src) {
		return nil // addresses on lo serve unnumbered interfaces
	}
	return fmt.Errorf("route to %v from %v by interface %d: %w: the interface doesn't have it",
		q.Dst, q.Src, q.Interface, ErrSource)
}

// linkLocalInterface is the interface to look a source up on: only link-local ones depend on it.
func linkLocalInterface(q Query) int {
	if q.Src.Is6() && q.Src.IsLinkLocalUnicast() {
		return q.Interface
	}
	return 0
}

func (s *snapshot) isLoopback(index int) bool {
	d := s.devices[index]
	return d != nil && d.Type == TypeLoopback
}

func (s *snapshot) onLoopback(ip netip.Addr) bool {
	for _, index := range s.addresses.local[ip] {
		if s.isLoopback(index) {
			return true
		}
	}
	return s.inLoopbackNet(ip)
}

// routeTypeError is the errno that a route of this type stands for. IPv4 answers with the errno itself; IPv6 with the
// route.
func routeTypeError(typ uint8) error {
	switch typ {
	case unix.RTN_BLACKHOLE:
		return unix.EINVAL
	case unix.RTN_UNREACHABLE:
		return unix.EHOSTUNREACH
	case unix.RTN_PROHIBIT:
		return unix.EACCES
	case unix.RTN_THROW:
		return unix.ENETUNREACH
	}
	return nil
}

// routeError says in this package's terms what the kernel's errno means.
func (t *Table) routeError(q Query, err error) error {
	if t.closed() {
		return ErrClosed
	}
	what := fmt.Sprintf("route to %v", q.Dst)
	if q.Src.IsValid() {
		what += fmt.Sprintf(" from %v", q.Src)
	}
	if q.Interface != 0 {
		what += fmt.Sprintf(" by interface %d", q.Interface)
	}
	switch {
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s: prohibited by a route: %w: %w", what, ErrNoRoute, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%s: blackhole: %w: %w", what, ErrNoRoute, err)
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETDOWN),
		errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%s: %w: %w", what, ErrNoRoute, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s: %w: %w", what, ErrSource, err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%s: %w: %w", what, ErrNoDevice, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
