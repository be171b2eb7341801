// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Run is one run of blast, which has a slot until Release. It is what account.Run is to packets that reach user space.
type Run struct {
	ID uint16

	m      *memory
	slot   uint32
	joined bool     // nobody has announced it
	said   bool     // its sender has sent everything
	sent   []uint64 // by stream, nil where that is not known
	apart  account.Counts
	// What is known of it when it is released.
	ended *account.Run
	final wsktallyTallyCounts
	times []timed
}

// timed is how many packets were so long on the way.
type timed struct{ ns, packets int64 }

// endedRun is in the place of a slot.
const endedRun = ^uint32(0)

// Joined is whether packets have begun the run.
func (r *Run) Joined() bool { return r.joined }

// counted is what came of the run, over all processors. The mutex is held.
func (r *Run) counted() (c wsktallyTallyCounts) {
	if r.ended != nil {
		return r.final
	}
	var all []wsktallyTallyCounts
	r.m.failed(r.m.maps[wsktallyMapWsktallyCounts].Lookup(r.slot, &all))
	for _, one := range all {
		if one.Packets > 0 && (c.Packets == 0 || one.First < c.First) {
			c.First = one.First
		}
		c.Packets += one.Packets
		c.Corrupt += one.Corrupt
		c.Refused += one.Refused
		c.Last = max(c.Last, one.Last)
	}
	return c
}

// Progress is how many packets of the run came before Release, and when the first and the latest one did: to a tick of the kernel, some
// milliseconds.
func (r *Run) Progress() (packets uint64, first, last time.Time) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	c := r.counted()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &ts); err != nil || c.Packets == 0 {
		return c.Packets, first, last
	}
	now, ticks := time.Now(), uint64(ts.Nano())
	at := func(t uint64) time.Time { return now.Add(-time.Duration(ticks - min(t, ticks))) }
	return c.Packets, at(c.First), at(c.Last)
}

// Times calls each with how many packets were so long on the way: the least that a bucket of an HdrHistogram of two digits holds.
func (r *Run) Times(each func(ns, packets int64)) {
	r.m.mu.Lock()
	all := r.times
	if r.ended == nil {
		all = r.readTimes()
	}
	r.m.mu.Unlock()
	for _, t := range all {
		each(t.ns, t.packets)
	}
}

// readTimes reads what Times says. The mutex is held.
func (r *Run) readTimes() (out []timed) {
	var t wsktallyTallyTimes
	r.m.failed(r.m.maps[wsktallyMapWsktallyTimes].Lookup(r.slot, &t))
	for place, n := range t.N {
		if n > 0 {
			out = append(out, timed{least(place), int64(n)})
		}
	}
	return out
}

// least is the shortest time that is counted in a place.
func least(place int) int64 {
	shift := max(place/128-1, 0)
	return int64(place-shift*128) << shift
}

// End says how many numbers of each stream were given out, nil where that is not known.
func (r *Run) End(sent []uint64) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.said, r.sent = true, sent
	if sent == nil || r.ended != nil {
		return
	}
	var all wsktallyTallySent
	copy(all.Numbers[:], sent)
	r.m.failed(r.m.maps[wsktallyMapWsktallySent].Put(r.slot, all))
	var s wsktallyTallySlot
	r.m.failed(r.m.maps[wsktallyMapWsktallySlots].Lookup(r.slot, &s))
	s.Said = 1
	// What the program changes meanwhile is the number of windows, of which a few too many are then taken to be free.
	r.m.failed(r.m.maps[wsktallyMapWsktallySlots].Put(r.slot, s))
}

// given is how many numbers of a stream were given out, as far as that is known.
func (r *Run) given(stream int) uint64 {
	if stream < len(r.sent) {
		return r.sent[stream]
	}
	return 0
}

// Take takes the stamp of a packet that came when the run had ended: it is late.
func (r *Run) Take(s *stamp.Stamp) account.Class {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.ended == nil { // its number is in use again
		return account.NoRoom
	}
	return r.ended.Take(s)
}

// Refuse counts a packet that was not taken.
func (r *Run) Refuse() { r.count(func(c *account.Counts) { c.Refused++ }, (*account.Run).Refuse) }

// Corrupt counts a packet that is not as it was sent.
func (r *Run) Corrupt() { r.count(func(c *account.Counts) { c.Corrupt++ }, (*account.Run).Corrupt) }

func (r *Run) count(here func(*account.Counts), there func(*account.Run)) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.ended != nil {
		there(r.ended)
		return
	}
	here(&r.apart)
}
