// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestQuestion(t *testing.T) {
	m := baseModel()
	for _, d := range []message{
		ethernet(8, "red0", flagsUp).attr32(unix.IFLA_MASTER, 9), ethernet(9, "red", flagsUp).kind(kindVRF, nil),
		ethernet(10, "port", flagsUp).attr32(unix.IFLA_MASTER, 8),
	} {
		m.apply(unix.RTM_NEWLINK, d, newChanges())
	}
	s := m.snapshot(nil, newChanges())
	table := bareTable()
	v4, v6, near := addr("10.0.0.9"), addr("fd00::9"), addr("fe80::9")
	for _, test := range []struct {
		in   Query
		want question
		err  error
	}{
		{Query{Dst: addr("::ffff:10.0.0.9"), TOS: 0xff}, question{dst: v4, tos: tosMask(true)}, nil},
		{Query{Dst: v6, TOS: 0xff}, question{dst: v6, tos: 0xfc}, nil},
		{Query{Dst: v6, SrcPort: 5, DstPort: 6, Owner: OwnerUID(7)}, question{dst: v6}, nil},
		{Query{Dst: addr("fe80::9%7")}, question{dst: near, oif: 7}, nil},
		{Query{Dst: addr("fe80::9%a0"), Interface: 7}, question{dst: near, oif: 7}, nil},
		{Query{Dst: near, Src: addr("fe80::1%a0")}, question{dst: near, src: addr("fe80::1"), oif: 7, strict: true}, nil},
		{Query{Dst: v6, Src: addr("::")}, question{dst: v6}, nil},
		{Query{Dst: v4, Interface: 7, Bound: 8}, question{dst: v4, oif: 7}, nil},
		{Query{Dst: v4, Bound: 8}, question{dst: v4, oif: 8}, nil},
		{Query{Dst: v6, Bound: 9}, question{dst: v6, oif: 9}, nil},
		{Query{Dst: v6, Bound: 9, Interface: 8}, question{dst: v6, oif: 8}, nil},
		{Query{Dst: v6, Bound: 9, Interface: 10}, question{dst: v6, oif: 10}, nil},
		{Query{Dst: addr("fe80::9%8"), Bound: 7}, question{dst: near, oif: 8}, nil},
		{Query{Dst: v6, Bound: 9, Interface: 7}, question{}, ErrScope},
		{Query{Dst: v6, Bound: 8, Interface: 7}, question{}, ErrScope},
		{Query{Dst: addr("fe80::9%7"), Interface: 8}, question{}, ErrScope},
		{Query{Dst: near}, question{}, ErrScope},
		{Query{Dst: near}, question{}, ErrNoDevice},
		{Query{Dst: addr("fe80::9%nosuch")}, question{}, ErrNoDevice},
		{Query{Dst: addr("fe80::9%99999999999")}, question{}, ErrNoDevice},
		{Query{Dst: v4, Interface: -1}, question{}, ErrNoDevice},
		{Query{}, question{}, ErrNoRoute},
		{Query{Dst: addr("0.0.0.0")}, question{}, ErrNoRoute},
		{Query{Dst: v4, Src: addr("fd00::1")}, question{}, ErrSource},
	} {
		got, err := table.question(s, test.in)
		if !errorIs(err, test.err) || err == nil && got != test.want {
			t.Errorf("%+v: %+v, %v; want %+v, %v", test.in, got, err, test.want, test.err)
		}
	}
	// What somebody looks at is asked.
	looking := *s
	looking.rules.v6 = looks{ports: true, users: true}
	in := Query{Dst: v6, SrcPort: 5, DstPort: 6, Owner: OwnerUID(7)}
	want := question{dst: v6, sport: 5, dport: 6, uid: 7, asUser: true}
	if got, err := table.question(&looking, in); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	table.sysctls.multipath4.value.Store(hashL4)
	in.Dst = v4
	want = question{dst: v4, sport: 5, dport: 6}
	if got, err := table.question(&looking, in); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestRulesLookAt(t *testing.T) {
	rule := func(family uint8, attrs ...uint16) message {
		m := append(message{family}, make(message, fibRuleLen-1)...)
		for _, a := range attrs {
			m = m.attr32(a, 1)
		}
		return m
	}
	for name, test := range map[string]struct {
		in   message
		want rules
	}{
		"plain":     {rule(unix.AF_INET, unix.FRA_SRC, unix.FRA_IP_PROTO, unix.FRA_FWMARK), rules{}},
		"dport":     {rule(unix.AF_INET, unix.FRA_DPORT_RANGE), rules{v4: looks{ports: true}}},
		"sport":     {rule(unix.AF_INET6, unix.FRA_SPORT_RANGE), rules{v6: looks{ports: true}}},
		"mask":      {rule(unix.AF_INET6, fraDportMask), rules{v6: looks{ports: true}}},
		"users":     {rule(unix.AF_INET6, unix.FRA_UID_RANGE), rules{v6: looks{users: true}}},
		"multicast": {rule(128 /* RTNL_FAMILY_IPMR */, unix.FRA_DPORT_RANGE), rules{}},
		"short":     {message{unix.AF_INET, 0, 0}, rules{}},
	} {
		var got rules
		if got.add(test.in); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestParseRelease(t *testing.T) {
	for s, want := range map[string][2]int{
		"6.12.4-amd64": {6, 12}, "5.10": {5, 10}, "7.0-rc1": {7, 0}, "6.18.44-fc-v595": {6, 18}, "": {}, "x.y": {}, "6": {6, 0},
	} {
		if got := parseRelease(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}
