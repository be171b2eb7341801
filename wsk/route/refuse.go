// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// checkInterface tells a missing interface from a missing route, which the kernel doesn't do for IPv6.
func (t *Table) checkInterface(q question, r *requester) error {
	if q.oif == 0 {
		return nil
	}
	if _, ok := t.Device(q.oif); ok {
		return nil
	}
	if _, err := r.device(q.oif); errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%v: %w", q, ErrNoDevice)
	}
	return nil
}

// checkSource tells a wrong source from a missing route: the kernel answers EINVAL for the first and for blackholes,
// and doesn't look at an IPv6 source at all.
//
// What counts is what the kernel's socket takes. For IPv4 that is any address of the host, whatever the interface
// (net/ipv4/route.c, ip_route_output_key_hash_rcu); for IPv6 any of the same VRF as the interface, and a link-local one
// only if it is the interface's (net/ipv6/addrconf.c, __ipv6_chk_addr_and_flags).
func (t *Table) checkSource(q question, r *requester) error {
	if !q.src.IsValid() {
		return nil
	}
	s := t.snap.Load()
	if !t.IsLocal(q.src) {
		// The address may be so new that it hasn't been announced yet, or local by a route.
		a, err := r.route(question{dst: q.src, oif: linkLocalInterface(q)})
		if err != nil || a.typ != unix.RTN_LOCAL {
			return fmt.Errorf("%v: %w: not an address of this host", q, ErrSource)
		}
		return nil
	}
	if s.suits(q) {
		return nil
	}
	return fmt.Errorf("%v: %w: not an address of that interface", q, ErrSource)
}

// suits reports whether a source that is an address of the host can be used on the wanted interface.
func (s *snapshot) suits(q question) bool {
	if q.oif == 0 || q.src.Is4() {
		return true
	}
	vrf := s.vrf(q.oif)
	for _, index := range s.addresses.local[q.src] {
		if index == q.oif || !q.src.IsLinkLocalUnicast() && s.vrf(index) == vrf {
			return true
		}
	}
	return false
}

// linkLocalInterface is the interface to look a source up on: only link-local ones depend on it.
func linkLocalInterface(q question) int {
	if q.src.Is6() && q.src.IsLinkLocalUnicast() {
		return q.oif
	}
	return 0
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
func (t *Table) routeError(q question, err error) error {
	if t.closed() {
		return ErrClosed
	}
	kind := error(nil)
	switch {
	case errors.Is(err, unix.EACCES):
		kind = ErrProhibited
	case errors.Is(err, unix.EINVAL):
		kind = ErrBlackhole
	case errors.Is(err, unix.EHOSTUNREACH):
		kind = ErrHostUnreachable
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.ENETDOWN), isUnsupported(err):
		kind = ErrNoRoute
	case errors.Is(err, unix.EADDRNOTAVAIL):
		kind = ErrSource
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		kind = ErrNoDevice
	default:
		return fmt.Errorf("%v: %w", q, err)
	}
	return fmt.Errorf("%v: %w: %w", q, kind, err)
}

// isUnsupported: the kernel was built without it, or has it switched off.
func isUnsupported(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}
