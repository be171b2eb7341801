// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

const (
	fibRuleLen = 12 // struct fib_rule_hdr, linux/fib_rules.h

	fibRuleInvert    = 0x2
	fibRuleFindSaddr = 0x10000

	// Of linux/fib_rules.h, since Linux 6.15, which names the mask of a single port too.
	fraSportMask = 28
	fraDportMask = 29
)

// parseRule reads an RTM_NEWRULE. What it doesn't know makes the rule foreign.
func parseRule(b []byte) (r rule, ok bool) {
	if len(b) < fibRuleLen || b[0] != unix.AF_INET && b[0] != unix.AF_INET6 {
		return rule{}, false
	}
	flags := binary.NativeEndian.Uint32(b[8:])
	r = rule{
		table: uint32(b[4]), tos: b[3], action: b[7], suppress: -1, target: -1, outIndex: -1,
		inverted: flags&fibRuleInvert != 0, saddrFind: flags&fibRuleFindSaddr != 0,
	}
	six := b[0] == unix.AF_INET6
	masked := false
	rtattr.Each(b[fibRuleLen:], func(a rtattr.Attr) {
		switch a.Type {
		case unix.FRA_DST:
			r.dst = rulePrefix(a, six, b[1])
			r.foreign = r.foreign || !r.dst.IsValid()
		case unix.FRA_SRC:
			r.src = rulePrefix(a, six, b[2])
			r.foreign = r.foreign || !r.src.IsValid()
		case unix.FRA_FWMARK:
			r.mark = a.U32()
			if !masked && r.mark != 0 {
				r.markMask = ^uint32(0)
			}
		case unix.FRA_FWMASK:
			r.markMask, masked = a.U32(), true
		default:
			r.attribute(a)
		}
	})
	return r, true
}

func rulePrefix(a rtattr.Attr, six bool, bits uint8) netip.Prefix {
	ip := a.Addr()
	if !ip.IsValid() || ip.Is6() != six {
		return netip.Prefix{}
	}
	p, _ := ip.Prefix(int(bits))
	return p
}

func (r *rule) attribute(a rtattr.Attr) {
	switch a.Type {
	case unix.FRA_PRIORITY:
		r.priority = a.U32()
	case unix.FRA_TABLE:
		r.table = a.U32()
	case unix.FRA_GOTO:
		r.gotoRule = a.U32()
	case unix.FRA_IIFNAME:
		r.in = a.Text()
	case unix.FRA_OIFNAME:
		r.out = a.Text()
	case unix.FRA_SUPPRESS_PREFIXLEN:
		r.suppress = int(int32(a.U32()))
	case unix.FRA_SUPPRESS_IFGROUP:
		r.groups = int32(a.U32()) >= 0
	case unix.FRA_SPORT_RANGE:
		r.sports.between(a)
	case unix.FRA_DPORT_RANGE:
		r.dports.between(a)
	case fraSportMask:
		r.sports.mask = a.U16()
	case fraDportMask:
		r.dports.mask = a.U16()
	case unix.FRA_IP_PROTO:
		r.never = r.never || a.U8() != 0 && a.U8() != unix.IPPROTO_UDP
	case unix.FRA_TUN_ID:
		r.never = r.never || len(a.Value) != 8 || binary.NativeEndian.Uint64(a.Value) != 0
	case unix.FRA_L3MDEV:
		// There are no VRF devices while anything is answered.
		r.never = r.never || a.U8() != 0
	case unix.FRA_PROTOCOL, unix.FRA_FLOW, unix.FRA_UNSPEC, unix.FRA_PAD:
	default:
		r.foreign = true // uids, and what later kernels have
	}
}

func (r *portRange) between(a rtattr.Attr) {
	if len(a.Value) >= 4 {
		r.first, r.last = binary.NativeEndian.Uint16(a.Value), binary.NativeEndian.Uint16(a.Value[2:])
	}
}
