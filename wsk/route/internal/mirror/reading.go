// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

func (f *follower) devices() error {
	m := f.model
	return errors.Join(
		f.read(unix.RTM_GETLINK, unix.RTM_NEWLINK, make([]byte, unix.SizeofIfInfomsg), func() { clear(m.devices) }),
		f.read(unix.RTM_GETNETCONF, unix.RTM_NEWNETCONF, []byte{unix.AF_INET, 0, 0, 0},
			func() { clear(m.linkdown[v4]) }),
		optional(f.read(unix.RTM_GETNETCONF, unix.RTM_NEWNETCONF, []byte{unix.AF_INET6, 0, 0, 0},
			func() { clear(m.linkdown[v6]) })),
		f.read(unix.RTM_GETNEIGH, unix.RTM_NEWNEIGH, append([]byte{unix.AF_INET6}, make([]byte, unix.SizeofNdMsg-1)...),
			func() { clear(m.failed) }),
	)
}

// read applies a dump to the model. A dump has routes that tie in the order in which they count, so each goes behind
// those before.
func (f *follower) read(request, typ uint16, body []byte, reset func()) error {
	return f.dumps.dump(request, body, reset, func(b []byte) { f.model.apply(typ, unix.NLM_F_APPEND, b) })
}

// small reads the rules, objects and addresses, where they are wanted.
func (f *follower) small() error {
	m := f.model
	for m.wish.rules || m.wish.objects || m.wish.addresses {
		wish := m.wish
		m.wish.rules, m.wish.objects, m.wish.addresses = false, false, false
		if wish.rules {
			for i, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
				if err := f.rules(i, family); err != nil {
					return err
				}
			}
		}
		if wish.objects {
			if err := f.objects(); err != nil {
				return err
			}
		}
		if wish.addresses {
			if err := f.addresses(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *follower) addresses() error {
	var all []address
	body := make([]byte, unix.SizeofIfAddrmsg)
	err := f.dumps.dump(unix.RTM_GETADDR, body, func() { all = all[:0] }, func(b []byte) {
		if a, ok := parseAddress(b); ok {
			all = append(all, a)
		}
	})
	if err == nil {
		f.model.setAddresses(all)
	}
	return err
}

func (f *follower) rules(i int, family uint8) error {
	var list []rule
	body := make([]byte, fibRuleLen)
	body[0] = family
	err := f.dumps.dump(unix.RTM_GETRULE, body, func() { list = list[:0] }, func(b []byte) {
		if r, ok := parseRule(b); ok && b[0] == family {
			list = append(list, r)
		}
	})
	if optional(err) != nil {
		return err
	}
	f.model.changed = f.model.changed || !slices.Equal(f.model.rules[i], list)
	f.model.rules[i] = list
	return nil
}

func (f *follower) objects() error {
	now := map[uint32]object{}
	err := f.dumps.dump(unix.RTM_GETNEXTHOP, make([]byte, nhmsgLen), func() { clear(now) }, func(b []byte) {
		if id, o, ok := parseObject(b); ok {
			now[id] = o
		}
	})
	if optional(err) != nil {
		return err
	}
	f.model.setObjects(now)
	return nil
}

// routes reads the routes of a family. What comes meanwhile is in the inbox.
func (f *follower) routes(family int) error {
	body := make([]byte, rtmLen)
	body[0] = [...]uint8{unix.AF_INET, unix.AF_INET6}[family]
	old := f.model.replaceRoutes(family)
	for range union6 {
		before := f.inbox.routes6.Load()
		err := optional(f.read(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, body, func() {}))
		if err != nil {
			return fmt.Errorf("routes: %w", err)
		}
		if family == v4 || f.inbox.routes6.Load() == before {
			break
		}
	}
	f.model.forget(old)
	return nil
}

// union6 is how many dumps make one where events about IPv6 routes come meanwhile: such a dump begins again at a
// number, and passes over some when others have gone before that (net/ipv6/ip6_fib.c, fib6_dump_table). The events that
// follow take out what the earlier ones had too many.
const union6 = 3
