// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

// looks says what the policy rules of a family look at, besides what is always asked. While they don't look at ports, one
// answer serves all ports of a destination.
type looks struct{ ports, users bool }

// rules is what the rules of both families look at. The rules themselves stay in the kernel.
type rules struct{ v4, v6 looks }

func (r rules) of(ip netip.Addr) looks {
	if ip.Is4() {
		return r.v4
	}
	return r.v6
}

const (
	fibRuleLen = 12 // struct fib_rule_hdr, linux/fib_rules.h

	// Of linux/fib_rules.h, since Linux 6.15.
	fraSportMask = 28
	fraDportMask = 29
)

// add takes an RTM_NEWRULE of a dump.
func (r *rules) add(b []byte) {
	if len(b) < fibRuleLen {
		return
	}
	var l *looks
	switch b[0] {
	case unix.AF_INET:
		l = &r.v4
	case unix.AF_INET6:
		l = &r.v6
	default:
		return // of multicast routing
	}
	rtattr.Each(b[fibRuleLen:], func(a rtattr.Attr) {
		switch a.Type {
		case unix.FRA_SPORT_RANGE, unix.FRA_DPORT_RANGE, fraSportMask, fraDportMask:
			l.ports = true
		case unix.FRA_UID_RANGE:
			l.users = true
		}
	})
}
