// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// follower is the state of the mirror's goroutine.
type follower struct {
	*Mirror
	model *model
	spare []byte // an empty buffer for the inbox

	// dumped is when the last dump of routes ended, took how long it took. Routes are dumped again no sooner than after
	// a multiple of it.
	dumped time.Time
	took   time.Duration
	again  *time.Timer
	delay  time.Duration // of the next try after one that has failed
	ready  bool
	begun  bool // what was learned about destinations is being followed
	// expiry is when IPv6 routes must be read again, because one that soon expires may have been prolonged; armed for
	// this.
	expiry *time.Timer
	armed  uint32
}

// dumpPause is how many times as long as a dump of routes the pause after it is.
const dumpPause = 10

// When a reading that has failed is done again.
const (
	repairSoonest = time.Second
	repairLatest  = time.Minute
)

func (m *Mirror) follow() {
	defer m.running.Done()
	f := &follower{Mirror: m, model: newModel(), again: time.NewTimer(0), expiry: time.NewTimer(time.Hour)}
	m.dumps.between = f.between
	defer f.again.Stop()
	defer f.expiry.Stop()
	for {
		select {
		case <-m.done:
			return
		case <-m.inbox.wake:
			f.events()
		case <-f.again.C:
			f.repair()
		case <-f.expiry.C:
			f.armed = 0
			f.model.wish.routes[v6] = f.model.soonest != 0
			f.again.Reset(0)
		}
	}
}

// events applies what has come, nothing perhaps, and makes one snapshot of it all.
func (f *follower) events() {
	b, lost := f.inbox.take(f.spare)
	f.spare = b
	if lost {
		f.log.Info("routing events were lost; reading the tables anew")
		f.ready = false
		f.publish(&Snapshot{ask: NotReady}, false)
		f.again.Reset(0)
	}
	if !f.ready {
		return // the reading that is to come has what these events tell
	}
	f.model.bulk = manyRoutes(b, f.model.size())
	eachMessage(b, func(typ, flags uint16, _ uint32, body []byte) bool {
		f.model.apply(typ, flags, body)
		if f.opts.applied != nil {
			f.opts.applied(typ, body)
		}
		return true
	})
	f.model.bulk = false
	f.settle()
}

// manyRoutes reports whether so many routes change that copying the tries is cheaper than copying a path for each.
func manyRoutes(b []byte, size int) bool {
	const least, part, bytes = 512, 128, 60
	return len(b)/bytes > max(least, size/part)
}

// settle fulfils the wishes of the model that are cheap, publishes, and arranges for those that are not.
func (f *follower) settle() {
	if err := f.small(); err != nil {
		f.fail(err)
		return
	}
	if s := f.snapshot(); f.model.tells(s, f.Snapshot()) {
		f.publish(s, f.model.hops.silent)
		f.model.hops.silent = false
	}
	if s := f.model.soonest; s != 0 && (f.armed == 0 || s < f.armed) {
		f.armed = s
		f.expiry.Reset(max(time.Duration(s)*10*time.Millisecond/2, time.Second))
	}
	if f.model.wish.any() {
		f.again.Reset(max(0, time.Until(f.dumped.Add(dumpPause*f.took))))
	}
}

func (f *follower) snapshot() *Snapshot {
	s := f.model.snapshot()
	if s.v6.ask == Answered && f.silent.on() {
		s.v6.ask = Doubtful
	}
	return s
}

func (f *follower) fail(err error) {
	if errors.Is(err, os.ErrClosed) {
		return
	}
	f.delay = min(max(2*f.delay, repairSoonest), repairLatest)
	f.log.Warn("the routing tables can't be read; every route is asked of the kernel until they can",
		"err", err, "again in", f.delay)
	f.ready = false
	f.publish(&Snapshot{ask: NotReady}, false)
	f.again.Reset(f.delay)
}

// between is called while a dump goes on. What has been announced meanwhile is applied after it only, so the snapshot
// answers nothing until then.
func (f *follower) between(table uint16) {
	if f.opts.reading != nil {
		f.opts.reading(table)
	}
	if s := f.Snapshot(); s.ask == Answered && f.inbox.waits.Load() {
		doubtful := *s
		doubtful.ask = Doubtful
		f.publish(&doubtful, false)
	}
}

// repair reads what only a dump can tell, or everything.
func (f *follower) repair() {
	if !f.ready {
		f.start()
		return
	}
	for family, wanted := range f.model.wish.routes {
		if wanted {
			if err := f.routes(family); err != nil {
				f.fail(err)
				return
			}
		}
	}
	f.events()
}

// start reads everything.
func (f *follower) start() {
	f.spare, _ = f.inbox.take(f.spare) // older than what is read now; a loss would have been followed by this
	f.model = newModel()
	f.model.wish = wishes{rules: true, objects: true, addresses: true}
	err := f.devices()
	if err == nil {
		err = f.small()
	}
	if err == nil {
		f.model.addresses.recount()
		err = f.routes(v4)
	}
	if err == nil {
		err = f.routes(v6)
	}
	if err == nil && !f.begun {
		err = f.learn()
	}
	if err != nil {
		f.fail(err)
		return
	}
	f.ready, f.delay = true, 0
	f.events()
	if !f.begun {
		f.begun = true
		f.running.Add(1)
		go f.learning()
	}
}

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
	begun := time.Now()
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
	f.dumped, f.took = time.Now(), time.Since(begun)
	return nil
}

// union6 is how many dumps make one where events about IPv6 routes come meanwhile: such a dump begins again at a
// number, and passes over some when others have gone before that (net/ipv6/ip6_fib.c, fib6_dump_table). The events that
// follow take out what the earlier ones had too many.
const union6 = 3
