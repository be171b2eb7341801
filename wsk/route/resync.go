// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// repair is what the table owes: another reading, because the last one failed or is not known to be whole. No event would
// ever bring what such a reading has missed.
type repair struct {
	due   <-chan time.Time // nil: nothing is owed
	delay time.Duration
}

// The first repair comes soon; one that fails again and again, or meets changes every time, must not keep the table busy.
const (
	repairSoonest = time.Second
	repairLatest  = time.Minute
)

func (r *repair) schedule() {
	r.delay = min(max(2*r.delay, repairSoonest), repairLatest)
	r.due = time.After(r.delay)
}

func (r *repair) settled() { *r = repair{} }

// resync reads everything anew after events were lost, or after a reading that did not do.
func (t *Table) resync(m *model, c *changes) {
	fresh, complete, err := t.read()
	if err != nil {
		// The old picture is better than none, until it can be repaired. What follows from it may be wrong, so nothing derived
		// from it lives on.
		t.log.Error("netlink events were lost and the tables can't be read; trying again", "err", err)
		c.every = true
		t.repair.schedule()
		return
	}
	t.log.Info("netlink events were lost; read the tables anew", "devices", len(fresh.devices),
		"addresses", len(fresh.addresses), "neighbours", len(fresh.neighbours))
	m.replace(fresh, c, t.lives.same)
	c.events = append(c.events, Event{Kind: Resynced})
	if complete {
		t.repair.settled()
	} else {
		t.repair.schedule()
	}
	t.rereadMTU6(m, c)
}

// read dumps devices, addresses and neighbours into a new model. complete is false when the kernel could not promise that
// a dump is whole: it may have passed over entries that have not changed and so will never be announced.
func (t *Table) read() (m *model, complete bool, err error) {
	m, complete = newModel(), true
	for _, table := range []struct {
		request int
		typ     uint16
		body    message
		reset   func()
	}{
		{unix.RTM_GETLINK, unix.RTM_NEWLINK, make(message, ifinfoLen).attr32(unix.IFLA_EXT_MASK, rtextSkipStats),
			func() { clear(m.devices) }},
		{unix.RTM_GETADDR, unix.RTM_NEWADDR, make(message, ifaddrLen), func() { clear(m.addresses) }},
		{unix.RTM_GETNEIGH, unix.RTM_NEWNEIGH, make(message, ndLen), func() { clear(m.neighbours) }},
		{unix.RTM_GETNETCONF, unix.RTM_NEWNETCONF, message{unix.AF_INET, 0, 0, 0}, func() { clear(m.filters) }},
	} {
		c := newChanges()
		consistent, err := t.dumper.dump(table.request, table.body, table.reset, func(b []byte) { m.apply(table.typ, b, c) })
		if err != nil {
			return nil, false, err
		}
		if t.opts.interrupt != nil && t.opts.interrupt() {
			table.reset()
			consistent = false
		}
		if !consistent {
			t.log.Warn("netlink dump was interrupted every time; going on with the last for now", "table", table.request)
			complete = false
		}
	}
	var consistent bool
	if m.rules, consistent, err = t.readRules(); err != nil {
		return nil, false, err
	}
	return m, complete && consistent, nil
}

// rtextSkipStats leaves the counters out of link messages (linux/rtnetlink.h, RTEXT_FILTER_SKIP_STATS).
const rtextSkipStats = 1 << 3

// rereadMTU6 asks for the IPv6 MTU of devices whose MTU has changed: the new MTU is announced before IPv6 takes it over, and
// a dump can meet them between.
func (t *Table) rereadMTU6(m *model, c *changes) {
	for index := range c.rereadMTU6 {
		d, err := t.dumper.device(index)
		switch {
		case err == nil:
			m.setMTU6(index, d.MTU6, c)
		case !errors.Is(err, unix.ENODEV):
			t.repair.schedule()
		}
		delete(c.rereadMTU6, index)
	}
}

// readRules dumps the rules. A kernel without policy routing has none and says so.
func (t *Table) readRules() (r rules, consistent bool, err error) {
	consistent = true
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		before := r
		ok, err := t.dumper.dump(unix.RTM_GETRULE, append(message{family}, make(message, fibRuleLen-1)...),
			func() { r = before }, r.add)
		if err != nil && !isUnsupported(err) {
			return r, false, err
		}
		consistent = consistent && (ok || err != nil)
	}
	return r, consistent, nil
}

// rereadRules reads the rules after one has changed: they have no names by which a single change could be followed.
func (t *Table) rereadRules(m *model, c *changes) {
	if !c.rereadRules {
		return
	}
	c.rereadRules = false
	r, consistent, err := t.readRules()
	if err != nil || !consistent {
		// Asking with everything is right whatever the rules are; it only costs more.
		r = rules{looks{true, true}, looks{true, true}}
		t.repair.schedule()
	}
	m.setRules(r, c)
}
