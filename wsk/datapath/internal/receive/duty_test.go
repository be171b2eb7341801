// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// pipe is a source whose datagrams are put in by the test, each for a sink.
type pipe struct {
	t           *testing.T
	duty        *Duty
	out         Delivery
	in          chan *Sink
	interrupted chan struct{}
	end         chan struct{}
	inside      atomic.Int32
	refuses     atomic.Bool
	byCaller    atomic.Int64 // datagrams that attendants have delivered
}

func newPipe(t *testing.T) *pipe {
	p := &pipe{t: t, in: make(chan *Sink, 64), interrupted: make(chan struct{}, 1), end: make(chan struct{})}
	p.duty = NewDuty(p, new(atomic.Uint64))
	p.out.Duty = p.duty
	var steward sync.WaitGroup
	steward.Go(p.duty.Run)
	t.Cleanup(steward.Wait)
	t.Cleanup(func() { close(p.end) })
	return p
}

func (p *pipe) Interrupt() {
	select {
	case p.interrupted <- struct{}{}:
	default:
	}
}

func (p *pipe) MayAttend(*Sink) bool { return !p.refuses.Load() }

func (p *pipe) Round(a *Attendant) bool {
	if p.inside.Add(1) != 1 {
		p.t.Error("two have the duty")
	}
	defer p.inside.Add(-1)
	if !p.out.IsEmpty() {
		if a != nil {
			p.t.Error("an attendant has been left the datagrams of others")
		}
		p.out.Flush()
	}
	if !a.MayWait() {
		return true
	}
	n := 0
	select {
	case to := <-p.in:
		n = 1
		p.out.Add(to, &wsk.Datagram{Lender: nobodys{}})
		for more := true; more; {
			select {
			case to := <-p.in:
				n++
				p.out.Add(to, &wsk.Datagram{Lender: nobodys{}})
			default:
				more = false
			}
		}
	case <-p.interrupted:
	case <-p.end:
		a.Waited()
		return false
	}
	a.Waited()
	if a != nil {
		p.byCaller.Add(int64(n))
	}
	a.Deliver(&p.out, n)
	return true
}

type nobodys struct{}

func (nobodys) Release(*wsk.Datagram) {}
func (nobodys) Keep(*wsk.Datagram)    {}

// caller is a socket with one goroutine that reads.
type caller struct {
	sink *Sink
	got  chan struct{} // a token for each datagram
	at   atomic.Pointer[Duty]
	in   atomic.Int64
	want atomic.Int64
	then func() // if set, called with the next list, when that counts
}

func newCaller() *caller {
	c := &caller{got: make(chan struct{}, 1<<16)}
	c.sink = &Sink{receiver: c, late: new(atomic.Uint64)}
	c.sink.Open()
	return c
}

// Receive implements wsk.Receiver. As a completion does, it interrupts whoever waits.
func (c *caller) Receive(list *wsk.Datagram) {
	for ; list != nil; list = list.Next {
		c.in.Add(1)
		c.got <- struct{}{}
	}
	if then := c.then; then != nil {
		c.then = nil
		then()
	}
	if d := c.at.Load(); d != nil && c.Over() {
		d.Interrupt()
	}
}

// Over implements wsk.Pending.
func (c *caller) Over() bool { return c.in.Load() >= c.want.Load() }

// within waits for what must come; otherwise says what is wrong then.
func within(t *testing.T, come <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-come:
	case <-time.After(testenv.Patience(10 * time.Second)):
		t.Error(otherwise)
	}
}

// read waits for one datagram more, in the way of WaitReceive.
func (c *caller) read(t *testing.T, d *Duty) {
	t.Helper()
	c.at.Store(d)
	c.want.Add(1)
	d.Attend(c, c.sink, true)
	within(t, c.got, "no datagram")
}

// exchange has a caller attend: it reads datagrams that come one by one until it has read one itself.
func (p *pipe) exchange(c *caller) {
	p.t.Helper()
	for p.byCaller.Load() == 0 {
		p.in <- c.sink
		c.read(p.t, p.duty)
	}
}

// TestDutyGoesToTheCaller: where datagrams come one by one the caller reads them, and who stays away for long has lost the duty, which
// the steward has.
func TestDutyGoesToTheCaller(t *testing.T) {
	p, c := newPipe(t), newCaller()
	p.exchange(c)
	p.in <- c.sink // nobody waits: the steward brings it all the same
	c.want.Add(1)
	within(t, c.got, "what came while the caller was away has not been read")
}

// TestDutyOfOthers: what an attendant finds for another socket is delivered by the steward.
func TestDutyOfOthers(t *testing.T) {
	p, c, other := newPipe(t), newCaller(), newCaller()
	for range 50 {
		p.byCaller.Store(0)
		p.duty.forgive()
		p.exchange(c)
		var stays sync.WaitGroup
		stays.Go(func() { c.read(t, p.duty) })
		p.in <- other.sink
		other.want.Add(1)
		within(t, other.got, "nobody has delivered what was for another")
		p.in <- c.sink
		stays.Wait()
	}
}

// forgive has the next exchange be taken for one at once.
func (d *Duty) forgive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.quick = quickReturns
}

// TestDutyFollowsTheSource: a caller whose datagrams come from elsewhere than before leaves nothing behind that nobody reads.
func TestDutyFollowsTheSource(t *testing.T) {
	one, two, c := newPipe(t), newPipe(t), newCaller()
	for i := range 400 {
		p := one
		if i/20%2 == 1 {
			p = two
		}
		if i%20 == 0 {
			one.duty.forgive()
			two.duty.forgive()
		}
		p.in <- c.sink
		d := c.sink.Reading()
		if d == nil {
			d = one.duty
		}
		c.read(t, d)
	}
}

// TestDutyCrowded: two callers of one socket both get theirs, whoever reads.
func TestDutyCrowded(t *testing.T) {
	p, a, b := newPipe(t), newCaller(), newCaller()
	b.sink = a.sink // for the pipe they are one socket
	b.got = a.got
	for range 200 {
		p.byCaller.Store(0)
		p.duty.forgive()
		p.exchange(a)
		var both sync.WaitGroup
		both.Go(func() { a.read(t, p.duty) })
		both.Go(func() {
			p.duty.Attend(b, a.sink, false)
			within(t, b.got, "the second caller got nothing")
		})
		p.in <- a.sink
		p.in <- a.sink
		both.Wait()
		a.want.Store(a.in.Load())
	}
}

// TestDutyInterrupted: a wait that ends without a datagram, as by a deadline, ends an Attend.
func TestDutyInterrupted(t *testing.T) {
	p, c := newPipe(t), newCaller()
	for range 200 {
		p.byCaller.Store(0)
		p.duty.forgive()
		p.exchange(c)
		c.want.Add(1)
		over := make(chan struct{})
		go func() {
			defer close(over)
			p.duty.Attend(c, c.sink, true)
		}()
		c.in.Add(1)
		p.duty.Interrupt()
		within(t, over, "the caller waits still")
	}
}

// TestDutyRefused: where callers may not read the steward does.
func TestDutyRefused(t *testing.T) {
	p, c := newPipe(t), newCaller()
	p.exchange(c)
	p.refuses.Store(true)
	before := p.byCaller.Load()
	for range 100 {
		p.in <- c.sink
		c.read(t, p.duty)
	}
	if n := p.byCaller.Load(); n != before {
		t.Errorf("callers have read %d datagrams", n-before)
	}
}

// newSpareDuty is the duty of a source that no steward reads: the test does what he would.
func newSpareDuty(t *testing.T) *pipe {
	p := &pipe{t: t, in: make(chan *Sink, 64), interrupted: make(chan struct{}, 1), end: make(chan struct{})}
	p.duty = NewDuty(p, new(atomic.Uint64))
	p.out.Duty = p.duty
	return p
}

// TestDutyIsKeptForWhoWaits: the steward does not let go while the caller who wants the duty waits for what the steward brings.
func TestDutyIsKeptForWhoWaits(t *testing.T) {
	p, c, other := newSpareDuty(t), newCaller(), newCaller()
	d := p.duty
	round := func(to *Sink) bool { p.in <- to; return p.Round(nil) && d.brought && d.letGo() }
	comes := func() { c.want.Add(1); d.Attend(c, c.sink, true) }
	if d.quick = 2 * quickReturns; round(c.sink) {
		t.Fatal("nobody wanted it")
	}
	c.want.Store(1)
	if comes(); round(other.sink) {
		t.Fatal("the caller waits, and what came was for another")
	}
	if c.then = comes; round(c.sink) {
		t.Fatal("the caller is back already, and waits")
	}
	second := newCaller()
	second.sink, second.got = c.sink, c.got
	second.want.Store(1)
	if d.Attend(second, c.sink, false); round(c.sink) {
		t.Fatal("another caller waits")
	}
	if comes(); !round(c.sink) {
		t.Fatal("the caller will come back, and the steward has the duty")
	}
	p.in <- c.sink
	if comes(); p.byCaller.Load() != 1 || d.holder != nobody {
		t.Errorf("the caller has read %d datagrams, and the duty is with %d", p.byCaller.Load(), d.holder)
	}
}

// TestDutyEnds: a caller who finds that the source has ended tells the steward, who would not have the duty while callers come often.
func TestDutyEnds(t *testing.T) {
	p, c := newSpareDuty(t), newCaller()
	close(p.end)
	p.duty.holder = nobody
	c.sink.broughtBy(p.duty)
	c.want.Store(1)
	if p.duty.Attend(c, c.sink, true); p.duty.holder != steward || len(p.duty.call) != 1 {
		t.Errorf("the duty is with %d, %d calls", p.duty.holder, len(p.duty.call))
	}
}

// TestDutyPanics: a caller whose routine panics while it has the duty leaves everything to the steward, what is for others too.
func TestDutyPanics(t *testing.T) {
	p, c, other := newSpareDuty(t), newCaller(), newCaller()
	p.duty.holder = nobody
	c.want.Store(2)
	c.then = func() { panic("routine") }
	p.in <- other.sink
	p.in <- c.sink
	p.in <- other.sink
	func() {
		defer func() {
			if recover() != "routine" {
				t.Error("the panic did not come through")
			}
		}()
		p.duty.Attend(c, c.sink, true)
	}()
	p.inside.Store(0)
	if p.duty.holder != steward || len(p.duty.call) != 1 {
		t.Errorf("the duty is with %d, %d calls", p.duty.holder, len(p.duty.call))
	}
	p.in <- c.sink
	if !p.Round(nil) || c.in.Load() != 2 || other.in.Load() != 2 {
		t.Errorf("%d datagrams for the caller and %d for the other, of 2 each", c.in.Load(), other.in.Load())
	}
	c.sink.Shut()
	c.sink.Wait() // for ever, if the delivery that has panicked counted still
}
