// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// follower is the state of the mirror's goroutine.
type follower struct {
	*Mirror
	model *model
	spare []byte // an empty buffer for the inbox

	// again is when the next reading is due, rest before when it must not be: after a multiple of the time that the last
	// one took, or a while after one that has failed. Otherwise a kernel that loses events all the time would keep a
	// processor busy.
	again *time.Timer
	rest  time.Time
	delay time.Duration // of the next try after one that has failed
	ready bool
	begun bool // what was learned about destinations is being followed
	// expiry is when IPv6 routes must be read again, because one that soon expires may have been prolonged; armed for
	// this.
	expiry *time.Timer
	armed  uint32
}

// dumpPause is how many times as long as a reading the pause after it is.
const dumpPause = 10

// When a reading that has failed is done again.
const (
	repairSoonest = time.Second
	repairLatest  = time.Minute
)

func newFollower(m *Mirror) *follower {
	return &follower{Mirror: m, model: newModel(), again: time.NewTimer(0), expiry: time.NewTimer(time.Hour)}
}

func (m *Mirror) follow() {
	defer m.running.Done()
	f := newFollower(m)
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
			f.later()
		}
	}
}

// rested begins the pause after a reading that began then.
func (f *follower) rested(begun time.Time) {
	now := time.Now()
	f.rest = now.Add(dumpPause * now.Sub(begun))
}

// later has the next reading done as soon as it may.
func (f *follower) later() { f.again.Reset(max(0, time.Until(f.rest))) }

// events applies what has come, nothing perhaps, and makes one snapshot of it all.
func (f *follower) events() {
	b, lost := f.inbox.take(f.spare)
	f.spare = b
	if lost && f.ready {
		f.log.Info("routing events were lost; reading the tables anew")
		f.ready = false
		f.publish(&Snapshot{ask: NotReady}, false)
		f.later()
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
		f.later()
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
	f.rest = time.Now().Add(f.delay)
	f.later()
}

// between is called while a dump goes on. What has been announced meanwhile is applied after it only, so the snapshot
// answers nothing until then, where that can last: routes may be a million. Of everything else there is little, and what
// is announced waits no longer than behind other events.
func (f *follower) between(table uint16) {
	if f.opts.reading != nil {
		f.opts.reading(table)
	}
	if s := f.Snapshot(); table == unix.RTM_GETROUTE && s.ask == Answered && f.inbox.waits.Load() {
		doubtful := s.again()
		doubtful.ask = Doubtful
		f.publish(doubtful, false)
	}
}

// repair reads what only a dump can tell, or everything.
func (f *follower) repair() {
	if !f.ready {
		f.start()
		return
	}
	begun := time.Now()
	for family, wanted := range f.model.wish.routes {
		if wanted {
			if err := f.routes(family); err != nil {
				f.fail(err)
				return
			}
		}
	}
	f.rested(begun)
	f.events()
}

// start reads everything.
func (f *follower) start() {
	begun := time.Now()
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
	f.rested(begun)
	f.events()
	if !f.begun {
		f.begun = true
		f.running.Add(1)
		go f.learning()
	}
}
