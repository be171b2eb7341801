// SPDX-License-Identifier: Apache-2.0

//go:build race

package lockrank

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// The order of the tests: outer before inner before innermost, and apart, which has no order with them.
var (
	inner     = New("inner", waiting|counting, outer)
	innermost = New("innermost", Nothing, inner)
	apart     = New("apart", Anything)
)

type (
	innerRank     struct{}
	innermostRank struct{}
	apartRank     struct{}
)

func (innerRank) Rank() *Rank     { return inner }
func (innermostRank) Rank() *Rank { return innermost }
func (apartRank) Rank() *Rank     { return apart }

func TestChecks(t *testing.T) {
	type locks struct {
		outer     Mutex[outerRank]
		inner     Mutex[innerRank]
		inner2    Mutex[innerRank]
		innermost Mutex[innermostRank]
		apart     Mutex[apartRank]
	}
	for name, test := range map[string]struct {
		do   func(l *locks)
		want []string // parts of the panic; none, if there is to be none
	}{
		"in order":               {do: func(l *locks) { l.outer.Lock(); l.inner.Lock(); l.innermost.Lock() }},
		"in order, one left out": {do: func(l *locks) { l.outer.Lock(); l.innermost.Lock() }},
		"unlocked in any order": {do: func(l *locks) {
			l.outer.Lock()
			l.inner.Lock()
			l.outer.Unlock()
			l.innermost.Lock()
			l.inner.Unlock()
			l.innermost.Unlock()
			l.outer.Lock()
		}},
		"against the order": {
			do:   func(l *locks) { l.inner.Lock(); l.outer.Lock() },
			want: []string{"outer is not to be taken after inner", "inner is held, taken by", "lockrank_race_test.go:"},
		},
		"against the order, not beside each other": {
			do:   func(l *locks) { l.outer.Lock(); l.innermost.Lock(); l.inner.Lock() },
			want: []string{"inner is not to be taken after innermost"},
		},
		"no order": {
			do:   func(l *locks) { l.outer.Lock(); l.apart.Lock() },
			want: []string{"apart is not to be taken after outer"},
		},
		"two of a rank": {
			do:   func(l *locks) { l.inner.Lock(); l.inner2.Lock() },
			want: []string{"inner is not to be taken after inner"},
		},
		"twice": {
			do:   func(l *locks) { l.inner.Lock(); l.inner.Lock() },
			want: []string{"inner is taken by a goroutine that holds it already"},
		},
		"tried against the order": {do: func(l *locks) { l.inner.Lock(); l.outer.TryLock() }},
		"after one that was tried": {
			do:   func(l *locks) { l.innermost.TryLock(); l.inner.Lock() },
			want: []string{"inner is not to be taken after innermost"},
		},
		"tried in vain is not held": {do: func(l *locks) {
			away(func() { l.innermost.Lock() })
			l.innermost.TryLock()
			l.outer.Lock()
		}},
		"unlocked by a stranger": {
			do:   func(l *locks) { away(func() { l.inner.Lock() }); l.inner.Unlock() },
			want: []string{"inner is unlocked by a goroutine that does not hold it"},
		},
		"held":               {do: func(l *locks) { l.outer.Lock(); l.inner.Lock(); l.outer.AssertHeld() }},
		"not held":           {do: func(l *locks) { l.inner2.Lock(); l.inner.AssertHeld() }, want: []string{"inner is not held"}},
		"held by a stranger": {do: func(l *locks) { away(func() { l.inner.Lock() }); l.inner.AssertHeld() }, want: []string{"inner is not held"}},
		"may, none held":     {do: func(l *locks) { AssertMay(waiting, "waiting") }},
		"may":                {do: func(l *locks) { l.outer.Lock(); l.inner.Lock(); AssertMay(waiting, "waiting") }},
		"may anything":       {do: func(l *locks) { l.apart.Lock(); AssertMay(waiting|counting, "anything") }},
		"may not": {
			do:   func(l *locks) { l.outer.Lock(); l.inner.Lock(); AssertMay(counting, "to count") },
			want: []string{"to count: not to be done under outer", "inner is held"},
		},
		"may one of two":        {do: func(l *locks) { l.outer.Lock(); AssertMay(waiting|counting, "both") }, want: []string{"both: not"}},
		"none held":             {do: func(l *locks) { l.apart.Lock(); l.apart.Unlock(); AssertNoneHeld("a stranger") }},
		"none held, one is":     {do: func(l *locks) { l.apart.Lock(); AssertNoneHeld("a stranger") }, want: []string{"a stranger: no lock is to be held"}},
		"none held, another's":  {do: func(l *locks) { away(func() { l.inner.Lock() }); AssertNoneHeld("a stranger") }},
		"none held, one of two": {do: func(l *locks) { l.outer.Lock(); l.inner.Lock(); l.outer.Unlock(); AssertNoneHeld("it") }, want: []string{"inner is held"}},
	} {
		t.Run(name, func(t *testing.T) {
			var said any
			away(func() {
				defer func() { said = recover() }()
				test.do(new(locks))
			})
			text, _ := said.(string)
			if (said == nil) != (len(test.want) == 0) {
				t.Fatalf("panic: %v, want %q", said, test.want)
			}
			for _, part := range test.want {
				if !strings.Contains(text, part) {
					t.Errorf("the panic does not say %q: %s", part, text)
				}
			}
		})
	}
}

// away runs f to its end on a goroutine of its own, which forgets in the end what it has taken: its descriptor will be
// another's.
func away(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer release()
		f()
	}()
	<-done
}

func release() {
	if h := holdingOf(self()); h != nil {
		for h.count() > 0 {
			drop(h.locks[h.count()-1].mu, nil)
		}
	}
}

func TestTooManyLocks(t *testing.T) {
	defer release()
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "too many locks") {
			t.Errorf("said %q of more locks than have room", text)
		}
	}()
	var mus [maxHeld + 1]Mutex[apartRank]
	for i := range mus {
		mus[i].TryLock()
	}
}

// TestManyGoroutines gives every goroutine a place of its own, also where they come and go.
func TestManyGoroutines(t *testing.T) {
	var all sync.WaitGroup
	for range 500 {
		all.Go(func() {
			var a Mutex[outerRank]
			var b Mutex[innerRank]
			for range 20 {
				a.Lock()
				runtime.Gosched()
				b.Lock()
				a.AssertHeld()
				b.AssertHeld()
				b.Unlock()
				a.Unlock()
				AssertNoneHeld("nothing")
			}
		})
	}
	all.Wait()
}

// TestHidesNoRace runs a child with a true race between two goroutines that use one place of the table: were this seen
// by the race detector, the second would seem to come after the first.
func TestHidesNoRace(t *testing.T) {
	if os.Getenv("LOCKRANK_RACE") != "" {
		race()
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestHidesNoRace$")
	child.Env = append(os.Environ(), "LOCKRANK_RACE=1")
	out, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "DATA RACE") {
		t.Errorf("the race detector does not see the race (%v):\n%s", err, out)
	}
}

func race() {
	const goroutine = 4711 // what no goroutine is called
	x := 0
	// The second begins when the first has ended, but the race detector is not told.
	first, second := make(chan struct{}), make(chan struct{})
	go func() {
		x++
		claim(goroutine)
		runtime.RaceDisable()
		close(first)
		runtime.RaceEnable()
	}()
	go func() {
		runtime.RaceDisable()
		<-first
		runtime.RaceEnable()
		holdingOf(goroutine)
		x++
		close(second)
	}()
	<-second
}
