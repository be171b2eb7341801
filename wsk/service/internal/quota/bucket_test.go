// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

func TestBucket(t *testing.T) {
	now := time.Unix(1000, 0)
	var b Bucket
	if b.Take(1000); b.Wait(now) != 0 || !b.Has() {
		t.Error("the zero value bounds something")
	}
	b.Set(100, 10, now)
	for i := range 10 {
		if b.Wait(now) != 0 {
			t.Fatalf("empty after %d of a burst of 10", i)
		}
		b.Take(1)
	}
	if got := b.Wait(now); got <= 0 || got > 11*time.Millisecond {
		t.Errorf("the next comes after %v, want 10ms at most", got)
	}
	now = now.Add(20 * time.Millisecond) // two more
	if b.Wait(now) != 0 {
		t.Error("nothing has come")
	}
	b.Take(102) // into debt
	if got := b.Wait(now); got < 990*time.Millisecond || got > 1010*time.Millisecond {
		t.Errorf("a debt of 100 takes %v", got)
	}
	now = now.Add(time.Hour)
	b.Wait(now)
	if b.Take(11); b.Has() {
		t.Error("more than a burst was saved up")
	}
}

// TestGrantLimits: each is taken up to its limit, and given back.
func TestGrantLimits(t *testing.T) {
	g := NewGrant("g", &policy.Limits{Sockets: 2, Inflight: 3, Memory: 10, Destinations: 1, NewDestinations: 5, Burst: 1})
	a, b := g.NewShare(), g.NewShare()
	for _, want := range []bool{true, true, false} {
		if a.TakeSocket() != want {
			t.Errorf("of two sockets, want %v", want)
		}
	}
	a.GiveSocket()
	if !b.TakeSocket() {
		t.Error("a socket that was given back")
	}
	if !a.TakeInflight(3) || b.TakeInflight(1) || !a.TakeMemory(10) || b.TakeMemory(1) || !a.TakeDestination() || b.TakeDestination() {
		t.Error("limits")
	}
	taken := 0
	for range 100 {
		if g.TakeNewcomer() {
			taken++
		}
	}
	if taken < 5 || taken > 20 {
		t.Errorf("%d destinations at once, of 5 a second", taken)
	}
	g.SetLimits(&policy.Limits{Sockets: 5, Burst: 1})
	if !b.TakeSocket() || g.Usage().Sockets != 3 {
		t.Error("a reload")
	}
}

// TestSessions: there are only so many at a time, and only so many begin in a second.
func TestSessions(t *testing.T) {
	g := NewGrant("g", &policy.Limits{Sessions: 2})
	if first, second, third := g.Begin(), g.Begin(), g.Begin(); !first || !second || third {
		t.Errorf("of three sessions began %v, %v and %v, where two may", first, second, third)
	}
	g.End()
	if g.Adopt(); g.Begin() || g.Usage().Sessions != 2 {
		t.Errorf("%d sessions", g.Usage().Sessions)
	}
	g.End()
	began, taken := time.Now(), 2
	for range 1000 {
		if g.Begin() {
			taken++
			g.End()
		}
	}
	if most := leastConnects * (2 + int(time.Since(began).Seconds())); taken < leastConnects || taken > most {
		t.Errorf("%d sessions have begun at once", taken)
	}
}

// TestMove: what a share uses goes along to another grant, beyond its limits if need be, and is given back there.
func TestMove(t *testing.T) {
	from := NewGrant("from", &policy.Limits{Sockets: 2, Inflight: 10, Memory: 100, Destinations: 5})
	to := NewGrant("to", &policy.Limits{Sockets: 1, Inflight: 1, Memory: 50})
	stays, moves := from.NewShare(), from.NewShare()
	for _, s := range []*Share{stays, moves} {
		if !s.TakeSocket() || !s.TakeInflight(3) || !s.TakeMemory(40) || !s.TakeDestination() {
			t.Fatal("limits")
		}
	}
	moves.Move(to)
	one := Usage{Sockets: 1, Inflight: 3, Destinations: 1, Memory: 40}
	if from.Usage() != one || to.Usage() != one || moves.Grant() != to {
		t.Errorf("%+v, %+v", from.Usage(), to.Usage())
	}
	if moves.TakeInflight(1) || moves.TakeMemory(11) || !moves.TakeMemory(10) {
		t.Error("limits after the move")
	}
	moves.GiveSocket()
	moves.GiveInflight(3)
	moves.GiveDestination(1)
	moves.GiveMemory(50)
	if from.Usage() != one || to.Usage() != (Usage{}) {
		t.Errorf("%+v, %+v", from.Usage(), to.Usage())
	}
}

// TestTurn: what is over the rate is refused until it comes again.
func TestTurn(t *testing.T) {
	g := NewGrant("g", &policy.Limits{Rate: 1000, Burst: 10})
	turn := g.BeginTurn()
	n := 0
	for turn.Take(1, 100) {
		n++
	}
	if n != 10 {
		t.Errorf("%d datagrams of a burst of 10", n)
	}
	if wait := turn.End(); wait > 2*time.Millisecond {
		t.Errorf("the next after %v at 1000 a second", wait)
	}
	g.SetLimits(&policy.Limits{Bits: 8000, Burst: 1})
	turn = g.BeginTurn()
	n = 0
	for turn.Take(1, 8*1000) {
		n++
	}
	turn.End()
	if n > 3 {
		t.Errorf("%d datagrams of 1000 bytes at 8000 bits a second", n)
	}
	free := NewGrant("f", &policy.Limits{})
	turn = free.BeginTurn()
	if !turn.Take(1<<30, 1<<40) || turn.End() != 0 {
		t.Error("a grant without bounds is bounded")
	}
}
