// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// walk changes a number as what comes from a path does that loses, doubles, moves and invents.
func walk(random *rand.Rand, n *uint64, window uint64) {
	switch random.IntN(12) {
	case 0:
		*n += random.Uint64N(3 * window)
	case 1:
		*n -= min(*n, random.Uint64N(2*window))
	case 2:
		if random.IntN(20) == 0 {
			*n += 1<<32 - 500 + random.Uint64N(1000) // about as far as is believed
		}
	case 3: // again
	default:
		*n++
	}
}

// The program finds what package account finds, whatever comes in whatever order: while a run goes on, when its end is known, and of what
// comes later; of a run that is announced and of one that packets begin, also where the numbers of stamps begin with 0 again.
func TestAgainstAccount(t *testing.T) {
	for _, window := range []int{64, 192, 1024} {
		r := newRig(t, Options{Window: window, Stamps: true, windows: 16}, Interface{})
		for seed := range uint64(40) {
			random := rand.New(rand.NewPCG(seed, uint64(window)))
			joined := seed%2 == 1
			model := account.NewRun(window, &account.Budget{Bytes: 1 << 20})
			id := uint16(seed)
			var run *Run
			if joined {
				model.Joined()
			} else {
				run = r.Begin(id, Announced{Smallest: 18, Largest: 18})
			}
			at := [3]uint64{}
			if joined {
				at[0], at[1] = random.Uint64N(1<<20), stamp.Mask-100
			}
			give := func(stream int, n uint64) {
				s := stamp.Stamp{Run: id, Stream: uint16(stream * 500), Sequence: n & stamp.Mask}
				model.Take(&s)
				r.give(s)
			}
			for range 500 {
				stream := random.IntN(len(at))
				walk(random, &at[stream], uint64(window))
				give(stream, at[stream])
			}
			if joined {
				found := r.Found()
				if len(found) != 1 || found[0].ID != id || !found[0].Joined() {
					t.Fatalf("found %+v", found)
				}
				run = found[0]
			}
			same := func(when string) {
				t.Helper()
				if got, want := run.Counts(), model.Counts(); got != want {
					t.Fatalf("window %d, seed %d, %s:\n%+v, want\n%+v", window, seed, when, got, want)
				}
			}
			same("before the end")
			if joined {
				run.Release()
				model.Release()
				same("released")
				continue
			}
			sent := make([]uint64, 1001)
			for i := range at {
				n := model.Counts().Numbers
				sent[i*500] = n - min(n, random.Uint64N(40))
			}
			sent[7] = 5 // of which nothing came
			run.End(sent)
			model.End(sent)
			same("the end is known")
			run.Release()
			model.Release()
			same("released")
			for range 20 {
				stream := random.IntN(len(at))
				give(stream, sent[stream*500]+1-min(sent[stream*500], random.Uint64N(4)))
			}
			give(2, 1)
			r.Late(func(b []byte, length int) {
				s, ok := stamp.Parse(b)
				if !ok || length != 18 || s.Run != id {
					t.Errorf("%x, %d", b, length)
				}
				run.Take(&s)
			})
			same("stragglers")
			r.Forget(id)
		}
	}
}

// A number that is beyond what was sent is corrupt from the moment on that this is known, and moves no window.
func TestNumbersAfterTheEnd(t *testing.T) {
	r := newRig(t, Options{Window: 64, Stamps: true, windows: 16}, Interface{})
	run := r.Begin(7, Announced{Smallest: 18, Largest: 18})
	r.give(stamp.Stamp{Run: 7}, stamp.Stamp{Run: 7, Sequence: 1})
	run.End([]uint64{4})
	r.give(stamp.Stamp{Run: 7, Sequence: 1000}, stamp.Stamp{Run: 7, Stream: 3}, stamp.Stamp{Run: 7, Sequence: 2})
	if got := run.Counts(); got != (account.Counts{Received: 3, Corrupt: 2, Numbers: 4, Lost: 1}) {
		t.Errorf("%+v", got)
	}
}

// What comes of one stream over several queues at once is accounted for as if it came over one.
func TestSeveralQueues(t *testing.T) {
	r := newRig(t, Options{Window: 1 << 16, Stamps: true}, Interface{})
	run := r.Begin(7, Announced{Smallest: 18, Largest: 18})
	const queues, each = 4, 2000
	var all sync.WaitGroup
	for q := range uint64(queues) {
		all.Go(func() {
			for n := range uint64(each) {
				s := stamp.Stamp{Run: 7, Stream: uint16(n % 3), Sequence: n / 3 * queues}
				s.Sequence += q
				r.give(s)
				if n%10 == 0 {
					r.give(s)
				}
			}
		})
	}
	all.Wait()
	c := run.Counts()
	c.Reordered, c.Extent = 0, 0 // which depends on who was faster
	most := uint64((each+2)/3) * queues
	if c.Received != queues*each || c.Duplicate != queues*each/10 || c.Late != 0 || c.Corrupt != 0 || c.Numbers > 3*most || c.Lost != c.Numbers-c.Received {
		t.Errorf("%+v", c)
	}
	if n, _, _ := run.Progress(); n != c.Arrived() || r.Totals().Packets != n {
		t.Errorf("%d packets, %+v", n, r.Totals())
	}
}
