// SPDX-License-Identifier: Apache-2.0

package inflight

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestCloseWaitsForTheLast(t *testing.T) {
	var c Calls
	last := 0
	c.Last = func() { last++ }
	for range 3 {
		if !c.Begin() {
			t.Fatal("refused while open")
		}
	}
	c.End()
	c.Close()
	if c.Begin() {
		t.Error("let in after Close")
	}
	if last != 0 || !c.Closed() || c.InFlight() != 2 {
		t.Fatalf("the last was found %d times with %d calls in flight", last, c.InFlight())
	}
	over := make(chan struct{})
	go func() { c.Wait(); close(over) }()
	c.Finish(1)
	select {
	case <-over:
		t.Fatal("Wait returned while a call was in flight")
	default:
	}
	c.Finish(1)
	<-over
	if last != 1 {
		t.Errorf("the last was found %d times", last)
	}
	// What an owner that refuses in its own way counts after the end changes nothing.
	c.Add(2)
	c.End()
	c.Finish(1)
	if last != 1 || c.InFlight() != 0 {
		t.Errorf("the last was found %d times, %d in flight", last, c.InFlight())
	}
}

func TestCloseOfNothingIsTheLast(t *testing.T) {
	var c Calls
	last := false
	c.Last = func() { last = true }
	c.Close()
	c.Wait()
	if !last || c.Begin() {
		t.Error("not closed")
	}
}

// A call may close its own owner; the end comes when it leaves.
func TestCloseFromInside(t *testing.T) {
	var c Calls
	c.Begin()
	c.Close()
	c.Add(1) // goes on to something more
	c.End()
	if c.InFlight() != 1 {
		t.Fatalf("%d in flight", c.InFlight())
	}
	c.End()
	c.Wait()
}

func TestEndWithoutBegin(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var c Calls
	c.Begin()
	c.Close()
	c.Finish(2)
}

// TestCloseRace: nobody is inside once Wait has returned, and nobody gets in, wherever the calls end.
func TestCloseRace(t *testing.T) {
	for range 300 {
		var c Calls
		var found atomic.Int32
		c.Last = func() { found.Add(1) }
		var gone atomic.Bool
		var inside, elsewhere sync.WaitGroup
		ends := make(chan struct{}, 8)
		elsewhere.Go(func() {
			for range ends {
				c.Finish(1)
			}
		})
		for i := range 4 {
			inside.Go(func() {
				for c.Begin() {
					if gone.Load() {
						t.Error("inside after Wait")
					}
					if i%2 == 0 {
						ends <- struct{}{}
					} else {
						c.End()
					}
				}
			})
		}
		c.Close()
		c.Wait()
		gone.Store(true)
		inside.Wait()
		close(ends)
		elsewhere.Wait()
		if found.Load() != 1 || c.InFlight() != 0 {
			t.Fatalf("the last was found %d times, %d in flight", found.Load(), c.InFlight())
		}
	}
}

// While one call is in flight others, which the owner refuses in its own way, come and go, and each of them looks
// whether it was the last. None is, in whichever order the two counters are read and change.
func TestLastAmongRefusedCalls(t *testing.T) {
	var c Calls
	var found atomic.Int32
	c.Last = func() { found.Add(1) }
	c.Begin()
	c.Close()
	var refused sync.WaitGroup
	for range 4 {
		refused.Go(func() {
			for range 50_000 {
				c.Add(1)
				c.Finish(1)
			}
		})
	}
	refused.Wait()
	if n := found.Load(); n != 0 {
		t.Errorf("the last was found %d times while a call was in flight", n)
	}
	c.End()
	if n := found.Load(); n != 1 {
		t.Errorf("the last was found %d times", n)
	}
}

// More threads than processors are inside or on their way in when the owner is closed, so that most of them stand still
// at some instruction. Each must either have been counted before it looked, and be waited for, or be refused.
func TestCloseSeesEveryCall(t *testing.T) {
	const callers = 16
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(callers))
	for range 10 {
		var c Calls
		var gone atomic.Bool
		var inside sync.WaitGroup
		warm := make(chan struct{}, callers)
		for range callers {
			inside.Go(func() {
				for n := 0; c.Begin(); n++ {
					if gone.Load() {
						t.Error("let in after Wait")
					}
					c.End()
					if n == 8_000 {
						warm <- struct{}{}
					}
				}
			})
		}
		for range callers / 2 {
			<-warm
		}
		c.Close()
		c.Wait()
		gone.Store(true)
		inside.Wait()
	}
}

func TestNothingAllocates(t *testing.T) {
	var c Calls
	if n := testing.AllocsPerRun(100, func() {
		c.Begin()
		c.Add(1)
		c.End()
		c.Finish(1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
