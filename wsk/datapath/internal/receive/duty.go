// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// Duty is the reading of one source of datagrams, an RX ring or a socket in the kernel. One goroutine has it at a time: the
// steward, which was started for the source, or an attendant, a caller who waits for a datagram anyway. Where one datagram
// comes after the other, each in answer to the last, a steward costs more than the datagram: it has to wake the caller, for
// which the runtime wakes a thread on another processor. An attendant wakes nobody.
//
//	steward ──wanted──► nobody ──Attend──► attendant
//	   ▲                  │  ▲                │
//	   └──for longer than─┘  └────it leaves───┘
//	      the tick
//
// The steward lets go of the duty where callers come back fast, and takes it again when it finds nobody to have had it for a
// tick, so that what comes for others, or for a caller who is busy, is late by two ticks at most. It looks each tick while the duty
// changes hands, and sleeps while an attendant waits. That one gives the duty back to it then.
type Duty struct {
	source  Source
	brought bool        // the steward has delivered something in its last Round; its own
	waiting atomic.Bool // an attendant waits in the source, or is about to
	call    chan struct{}
	count   *atomic.Uint64

	mu        lockrank.Mutex[locks.DutyMu]
	holder    holder
	wantedBy  *Sink       // the last caller came for this one, and would take the duty when it comes back
	wantedFor wsk.Pending // what that caller waits for
	asleep    bool        // the steward sleeps until it is called
	recalled  bool        // the attendant is to call the steward when it leaves
	handed    uint64      // how often an attendant has taken the duty
	quick     int         // grows with callers who come back fast, see cameBack
	asked     time.Time
	attended  Attendant // of the one that has the duty
}

type holder uint8

const (
	steward holder = iota
	nobody
	attendant
)

// Source is what a Duty is the reading of. Round is for whoever has the duty, the others for anybody.
type Source interface {
	// Round delivers what is there, or waits until there is something or the attendant's wait is over. It reports false when
	// the source has ended. a is nil for the steward.
	Round(a *Attendant) (more bool)
	// Interrupt ends the wait of a Round, or the next one's. That Round may find nothing.
	Interrupt()
	// MayAttend reports whether nothing speaks against an attendant whose datagrams go to own.
	MayAttend(own *Sink) bool
}

// Attendant is a caller who has the duty.
type Attendant struct {
	duty    *Duty
	pending wsk.Pending
	own     *Sink
	// leave has the steward take the duty when the Round is over.
	leave bool
}

const (
	// dutyTick is the time between two looks of a steward who does not have the duty.
	dutyTick = time.Millisecond
	// quickReturn is how soon a caller comes back in an exchange of single datagrams, and quickReturns how often until it is
	// taken for one; a slow return takes slowReturn of them away. After a full look the count begins below zero.
	quickReturn  = 400 * time.Microsecond
	quickReturns = 16
	slowReturn   = 4
	quickBack    = -1000
	// plenty is how many datagrams at a look are more than an exchange of single ones.
	plenty = 16
)

// NewDuty is the reading of a source, which the steward has. byCaller counts the datagrams that attendants read.
func NewDuty(source Source, byCaller *atomic.Uint64) *Duty {
	return &Duty{source: source, call: make(chan struct{}, 1), count: byCaller}
}

// Run is the steward. It returns when the source has ended.
func (d *Duty) Run() {
	for d.source.Round(nil) {
		// After a Round that has waited only, what has come meanwhile is not delivered yet.
		if d.brought && d.letGo() {
			d.standBy()
		}
	}
}

// letGo gives up the steward's duty if somebody wants it. A caller who waits still, because what was delivered was not for it or
// because it has come back already, does so without the duty, and the steward keeps that.
func (d *Duty) letGo() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.brought = false
	by := d.wantedBy
	if by == nil || !d.wantedFor.Over() {
		return false
	}
	d.wantedBy, d.wantedFor = nil, nil
	if by.Reading() != d {
		return false
	}
	d.holder = nobody
	return true
}

// standBy returns when the steward has the duty again.
func (d *Duty) standBy() {
	tick := time.NewTicker(dutyTick)
	defer tick.Stop()
	for last := d.hands() - 1; ; {
		select {
		case <-d.call:
			return
		case <-tick.C:
		}
		handed, mine, called := d.look(last)
		if called {
			tick.Stop()
			<-d.call
		}
		if mine || called {
			return
		}
		last = handed
	}
}

func (d *Duty) hands() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.handed
}

// look is what the steward does each tick. last is what it returned before. called says that whoever has the duty calls the
// steward when it is over.
func (d *Duty) look(last uint64) (handed uint64, mine, called bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.holder == steward: // and is being called
		called = true
	case d.handed != last:
	case d.holder == nobody:
		d.holder, mine = steward, true
	default:
		d.asleep, called = true, true
	}
	return d.handed, mine, called
}

// Attend has the caller read the source until pending is over, if it can have the duty. It may return at any time before:
// then the caller waits without. alone says that nobody else waits for datagrams of the same socket. Interrupt must follow
// once pending is over.
func (d *Duty) Attend(pending wsk.Pending, own *Sink, alone bool) {
	if !d.take(pending, own, alone && d.source.MayAttend(own)) {
		return
	}
	defer d.giveBack() // also when a routine panics
	for a := &d.attended; !a.leave && !pending.Over(); {
		if !d.source.Round(a) {
			a.leave = true // the steward is to see that, however often callers come
		}
	}
}

// take gives the duty to a caller who may have it, or notes what its coming says.
func (d *Duty) take(pending wsk.Pending, own *Sink, may bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.holder == steward:
		d.wantedBy, d.wantedFor = nil, nil
		if may && d.cameBack(time.Now()) {
			d.wantedBy, d.wantedFor = own, pending
		}
		return false
	case d.holder == attendant:
		d.recalled = true // or nobody might bring this caller its datagram
		return false
	case !may:
		d.callLocked()
		return false
	}
	d.holder = attendant
	d.handed++
	d.attended = Attendant{duty: d, pending: pending, own: own}
	return true
}

// cameBack reports whether callers mostly come soon after the one before. The mutex is held.
func (d *Duty) cameBack(now time.Time) bool {
	switch fast := now.Sub(d.asked) < quickReturn; {
	case fast || d.quick < 0:
		d.quick = min(d.quick+1, 2*quickReturns)
	default:
		d.quick = max(d.quick-slowReturn, 0)
	}
	d.asked = now
	return d.quick > quickReturns
}

// giveBack ends an attendant's duty.
func (d *Duty) giveBack() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.attended.leave || d.recalled || d.attended.own.Reading() != d:
		d.quick = quickBack
		d.callLocked()
	case d.asleep:
		d.quick = 0
		d.callLocked()
	default:
		d.holder = nobody
	}
	d.attended = Attendant{}
}

// Recall has the steward take the duty, now or when the attendant leaves: those who attended to it get their datagrams from
// elsewhere now, and nobody would come back.
func (d *Duty) Recall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.holder {
	case nobody:
		d.quick = quickBack
		d.callLocked()
	case attendant:
		d.recalled = true
	case steward:
		d.wantedBy, d.wantedFor = nil, nil
	}
}

// callLocked gives the duty to the steward, who does not have it. The mutex is held.
func (d *Duty) callLocked() {
	d.holder, d.asleep, d.recalled = steward, false, false
	d.call <- struct{}{} // there is room: the steward takes it before it lets go of the duty again
}

// Interrupt ends the wait of an attendant, whose pending is over now. It is harmless at any time.
func (d *Duty) Interrupt() {
	if d.waiting.Load() {
		d.source.Interrupt()
	}
}

// MayWait is called before a Round waits, with what the Round was given. It reports false where the wait is over already;
// otherwise Waited follows.
func (a *Attendant) MayWait() bool {
	if a == nil {
		return true
	}
	a.duty.waiting.Store(true) // from here on whoever ends the wait interrupts it
	if a.pending.Over() {
		a.duty.waiting.Store(false)
		return false
	}
	return true
}

// Waited ends what MayWait has begun.
func (a *Attendant) Waited() {
	if a != nil {
		a.duty.waiting.Store(false)
	}
}

// Deliver hands over what a Round has collected, n datagrams at one look. An attendant delivers to its own socket only, since
// the routines of others must not run on its goroutine, and leaves the rest to the steward.
func (a *Attendant) Deliver(out *Delivery, n int) {
	if a == nil {
		out.Flush()
		out.Duty.brought = n > 0
		return
	}
	a.duty.count.Add(uint64(n))
	a.leave = true // should a routine panic
	if out.flushTo(a.own) && n < plenty {
		a.leave = false
	}
}
