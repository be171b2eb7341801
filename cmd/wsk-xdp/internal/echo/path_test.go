// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Which pings get no answer is a function of their numbers and the seed, about as many as were asked for, and others with
// another seed.
func TestDropsAreAFunctionOfTheNumber(t *testing.T) {
	const n = 100_000
	dropped := func(p Path) (out []uint64) {
		for number := range uint64(n) {
			if p.Drops(number) {
				out = append(out, number)
			}
		}
		return out
	}
	one := dropped(Path{Drop: units.PerCent(1), Seed: 7})
	if len(one) < n/100-200 || len(one) > n/100+200 { // six times the deviation that chance has
		t.Errorf("%d of %d were dropped, 1%% was asked for", len(one), n)
	}
	if again := dropped(Path{Drop: units.PerCent(1), Seed: 7}); !slices.Equal(one, again) {
		t.Error("the same seed drops others")
	}
	if other := dropped(Path{Drop: units.PerCent(1), Seed: 8}); slices.Equal(one, other) {
		t.Error("another seed drops the same")
	}
	if all, none := dropped(Path{Drop: units.PerCent(100)}), dropped(Path{}); len(all) != n || len(none) != 0 {
		t.Errorf("of all %d, of none %d", len(all), len(none))
	}
	rule := Rule{Port: 9000, Path: Path{Drop: units.PerCent(100)}}
	b := make([]byte, stamp.Size)
	stamp.Stamp{Sequence: 3}.PutPing(b)
	if got := rule.judge(b, from, false); got != onPurpose {
		t.Errorf("a ping: %q", got)
	}
	rule.Any = true
	if got := rule.judge([]byte("no ping"), from, false); got != "" {
		t.Errorf("no ping: %q", got)
	}
	stamp.Stamp{}.Put(b)
	if got := (Rule{Port: 9000}).judge(b, from, false); got != ofBlast {
		t.Errorf("a packet of blast: %q", got)
	}
}

// What is delayed is passed on in order, none before its time, and what is left at the end is told.
func TestDelayed(t *testing.T) {
	const delay = 3 * time.Millisecond
	type one struct {
		number int
		came   time.Time
	}
	var mu sync.Mutex
	var got []int
	d := newDelayed(delay, func(o one) {
		if waited := time.Since(o.came); waited < delay {
			t.Errorf("number %d was passed on after %v", o.number, waited)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, o.number)
	})
	const n = 5000
	for i := range n {
		now := time.Now()
		if !d.put(now, one{i, now}) {
			t.Fatalf("no room for number %d", i)
		}
	}
	testenv.Eventually(t, time.Minute, "all to be passed on", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) == n
	})
	for i, number := range got {
		if i != number {
			t.Fatalf("number %d came as number %d", number, i)
		}
	}
	later := time.Now().Add(time.Hour)
	taken := 0
	for d.put(later, one{}) {
		taken++
	}
	if taken != heldAnswers {
		t.Errorf("room for %d", taken)
	}
	d.close()
	if left := d.left(); left != heldAnswers {
		t.Errorf("%d are left", left)
	}
	var none *delayed[one]
	if none.close(); none.left() != 0 {
		t.Error("nothing is left of nothing")
	}
}
