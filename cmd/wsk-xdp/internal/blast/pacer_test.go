// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestPacerGivesTheRate(t *testing.T) {
	const rate = 1000
	p := NewPacer(PPS(rate), 10)
	for _, c := range []struct {
		at         time.Duration
		want, take uint64
	}{
		{0, 1, 0},
		{999 * time.Microsecond, 1, 0},
		{time.Millisecond, 5, 1},
		{time.Millisecond, 5, 0}, // not twice
		{4 * time.Millisecond, 2, 2},
		{4 * time.Millisecond, 5, 1},
		{14 * time.Millisecond, 100, 10}, // the bucket is full, nothing is lost
	} {
		if got := p.Take(c.at, c.want); got != c.take {
			t.Fatalf("at %v %d of %d were given, want %d", c.at, got, c.want, c.take)
		}
	}
	if p.Forfeited() != 0 {
		t.Errorf("%d forfeited", p.Forfeited())
	}
	if got := p.Take(time.Second, 1000); got != 10 || p.Forfeited() != 886 {
		t.Errorf("after a pause %d were given and %d forfeited, want 10, and all but the last 100 of 986", got, p.Forfeited())
	}
}

// A pause is made up for: what fell due in 10 ms at once, the rest at twice the rate until none is owed, if need be after the end of the run.
func TestPacerMakesUpForPauses(t *testing.T) {
	const ms, begin = time.Millisecond, 500 * time.Millisecond
	for _, c := range []struct {
		pause, length time.Duration
		burst         uint64
		forfeited     uint64
	}{
		{9 * ms, time.Second, 1, 0},
		{17 * ms, time.Second, 1, 0},
		{99 * ms, time.Second, 1, 0},
		{250 * ms, time.Second, 1, 15_001}, // 100 ms are 10,000, and one was due as it began
		{60 * ms, begin + 40*ms, 1, 0},     // it lasts beyond the end
		{60 * ms, time.Second, 300, 0},
		{60 * ms, begin + 40*ms, 300, 0},
		{60 * ms, time.Second, 4000, 0}, // a burst is more than a bucket
		{99 * ms, time.Second, 5100, 0}, // two of them fell due, which is more than the rate has in the time
		{250 * ms, 900 * ms, 300, 15_000},
	} {
		run := Config{Rate: PPS(100_000), Duration: c.length, Batch: 1, Burst: c.burst}
		p := run.Pacer(run.bucket)
		given, before, largest := uint64(0), uint64(0), max(run.bucket(run.Rate), c.burst)
		at, behind := time.Duration(0), true
		for {
			n := p.Take(at, math.MaxUint64)
			given += n
			if rest := n % c.burst; rest != 0 && given != Due(run.Rate, c.length) {
				t.Fatalf("%+v: %d at %v", c, n, at)
			}
			if since := at - begin - c.pause; since >= 0 && behind {
				if given > before+largest+tokens(uint64(PPS(200_000)), since) {
					t.Fatalf("%+v: %d since the pause that ended %v ago", c, given-before, since)
				}
				behind = given+p.Forfeited() < p.due(at)
			}
			if p.Over(at) {
				break
			}
			wait := p.Wait(at, 1)
			if wait <= 0 {
				t.Fatalf("%+v: no wait at %v, and %d were given", c, at, n)
			}
			next := at + wait
			if at < c.length {
				next = min(next, c.length)
			}
			if at < begin && next >= begin {
				next, before = begin+c.pause, given
			}
			at = next
		}
		p.End(at)
		if p.Forfeited() != c.forfeited || given+p.Forfeited() != Due(run.Rate, c.length) || at > c.length+c.pause {
			t.Errorf("%+v: %d given and %d forfeited until %v", c, given, p.Forfeited(), at)
		}
	}
}

// A burst is what may leave at one time: one that a pause has filled the bucket with, and not all that a sender sends behind it that never
// sleeps, since it is only as fast as what was missed may be made up for. Packets that a count leaves out are in none.
func TestLongestBurst(t *testing.T) {
	const ms, look = time.Millisecond, 5 * time.Microsecond
	for _, c := range []struct {
		pause         time.Duration
		burst, count  uint64
		want, largest uint64
	}{
		{0, 1, 0, 1, 1000}, {4 * ms, 1, 0, 400, 1000}, {60 * ms, 1, 0, 1000, 1000}, {60 * ms, 300, 0, 900, 1000}, {60 * ms, 4000, 0, 4000, 4000},
		{60 * ms, 1, 10_030, 30, 1000},
	} {
		run := Config{Rate: PPS(100_000), Duration: 300 * ms, Batch: 1, Burst: c.burst, Count: c.count}
		p := run.Pacer(run.bucket)
		given := uint64(0)
		for at := time.Duration(0); !p.Over(at) && (c.count == 0 || given < c.count); at += look {
			given += p.Take(at, c.burst)
			if at == 100*ms {
				at += c.pause
			}
		}
		if p.Longest() != c.want || p.Bucket() != c.largest {
			t.Errorf("%+v: %d of %d", c, p.Longest(), p.Bucket())
		}
	}
	steps := Config{Steps: []Step{{PPS(500_000), 10 * ms}, {PPS(1000), 10 * ms}}, Duration: 20 * ms, Batch: 1}
	p := steps.Pacer(steps.bucket)
	p.Take(15*ms, 1)
	if p.Bucket() != 5000 || p.Longest() != 5000 {
		t.Errorf("%d of %d in the second step", p.Longest(), p.Bucket())
	}
}

// What a step leaves over is not lost to a slower one, and leaves no faster than it would have in its own.
func TestPacerMakesUpForTheStepBefore(t *testing.T) {
	c := Config{Steps: []Step{{PPS(100_000), time.Second}, {PPS(1), 2 * time.Second}}, Duration: 3 * time.Second, Batch: 1}
	c.Rate = Mean(c.Steps)
	p := c.Pacer(c.bucket)
	const ms = time.Millisecond
	given := uint64(0)
	for at := time.Duration(0); at < 950*ms; at += ms {
		given += p.Take(at, math.MaxUint64)
	}
	for _, one := range []struct {
		at   time.Duration
		want uint64
	}{{1010 * ms, 1000}, {1015 * ms, 1000}, {1040 * ms, 1000}, {1045 * ms, 1000}, {1050 * ms, 1000}, {1055 * ms, 100}, {2000 * ms, 1}, {3000 * ms, 1}} {
		n := p.Take(one.at, math.MaxUint64)
		if given += n; n != one.want {
			t.Errorf("%d at %v, want %d", n, one.at, one.want)
		}
	}
	if given != 100_002 || p.Forfeited() != 0 {
		t.Errorf("%d given, %d forfeited", given, p.Forfeited())
	}
}

// A pause of several steps, and a sender that all of them are too fast for, have no more made up for than those of one step.
func TestPacerMakesUpForNoMoreInSteps(t *testing.T) {
	const ms = time.Millisecond
	short := Config{Batch: 1}
	for range 20 {
		short.Steps = append(short.Steps, Step{PPS(100_000), 50 * ms})
	}
	short.Rate, short.Duration = Mean(short.Steps), time.Second
	p := short.Pacer(short.bucket)
	given := uint64(0)
	for at := ms; at <= 100*ms; at += ms {
		given += p.Take(at, math.MaxUint64)
	}
	for at := 600 * ms; ; at += p.Wait(at, 1) {
		if given += p.Take(at, math.MaxUint64); p.Over(at) {
			break
		}
	}
	if p.Forfeited() != 40_000 || given != 60_000 {
		t.Errorf("after a pause of 500 ms %d were given and %d forfeited", given, p.Forfeited())
	}

	slow := Config{Batch: 1}
	for range 10 {
		slow.Steps = append(slow.Steps, Step{PPS(100_000), time.Second})
	}
	slow.Steps = append(slow.Steps, Step{PPS(10), 5 * time.Second})
	slow.Rate, slow.Duration = Mean(slow.Steps), 15*time.Second
	p = slow.Pacer(slow.bucket)
	behind := uint64(0)
	for at := ms; at < slow.Duration; at += ms {
		if n := p.Take(at, 50); at > 10*time.Second+makeUp {
			behind += n
		}
	}
	if behind > 50 {
		t.Errorf("%d left in a step that asks for 50, of those that the steps before it were too fast for", behind)
	}
}

// Whatever the sleeps, after the whole time exactly rate × time tokens were given or forfeited, never more at any
// moment.
func TestPacerIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, rate := range []uint64{1, 3, 7, 999, 100_000, 1_488_095, 14_880_952, 1_000_000_000_000} {
		const whole = 10 * time.Second
		p := NewPacer(PPS(rate), math.MaxUint64)
		var given uint64
		for at := time.Duration(0); ; {
			given += p.Take(at, math.MaxUint64)
			if exact := float64(rate) * at.Seconds(); float64(given) > exact+1e-3*exact/1e6+1e-9 {
				t.Fatalf("rate %d: %d given at %v, only %f are due", rate, given, at, exact)
			}
			if at == whole {
				break
			}
			wait := p.Wait(at, 1)
			if wait <= 0 {
				t.Fatalf("rate %d: nothing left at %v, but no wait", rate, at)
			}
			// On time, or late by up to 400 ms.
			next := at + wait + time.Duration(random.IntN(int(400*time.Millisecond)))
			at = min(next, whole)
		}
		if want := rate * uint64(whole/time.Second); given != want {
			t.Errorf("rate %d: %d given in %v, want %d", rate, given, whole, want)
		}
	}
}

// Wait names the first moment at which Take gives something.
func TestPacerWaitIsTight(t *testing.T) {
	for _, rate := range []uint64{1, 3, 1000, 1_488_095, 3_000_000_000} {
		p := NewPacer(PPS(rate), 1<<40)
		at := time.Duration(0)
		for range 100 {
			wait := p.Wait(at, 1)
			if wait > 0 {
				early := p
				if got := early.Take(at+wait-1, 1); got != 0 {
					t.Fatalf("rate %d: given 1 ns before the end of a wait of %v", rate, wait)
				}
			}
			at += wait
			if got := p.Take(at, 1); got != 1 {
				t.Fatalf("rate %d: nothing at %v, after a wait of %v", rate, at, wait)
			}
		}
	}
}

// Rates need not be whole: one in two seconds, or three in a million.
func TestPacerOfFractions(t *testing.T) {
	for _, c := range []struct {
		rate Rate
		at   time.Duration
		want uint64
	}{{500_000, 2*time.Second - 1, 0}, {500_000, 2 * time.Second, 1}, {500_000, 10 * time.Second, 5}, {3, 1_000_000 * time.Second, 3}, {1, time.Hour, 0}} {
		p := NewPacer(c.rate, 10)
		if got := p.Take(c.at, 10); got != c.want {
			t.Errorf("%g a second for %v: %d, want %d", c.rate.PerSecond(), c.at, got, c.want)
		}
	}
	p := NewPacer(500_000, 1)
	if wait := p.Wait(0, 1); wait != 2*time.Second {
		t.Errorf("the first of one in two seconds is waited for %v", wait)
	}
}

func TestPacerWithoutLimit(t *testing.T) {
	p := NewPacer(0, 1)
	if got := p.Take(0, 64); got != 64 || p.Wait(0, 1) != 0 {
		t.Errorf("%d given, wait %v", got, p.Wait(0, 1))
	}
}

func TestPacerSurvivesHugeNumbers(t *testing.T) {
	p := NewPacer(math.MaxUint64, math.MaxUint64)
	if got := p.Take(math.MaxInt64, 5); got != 5 {
		t.Errorf("%d given", got)
	}
	slow := NewPacer(PPS(1), 1)
	if wait := slow.Wait(0, math.MaxUint64/2); wait != math.MaxInt64 {
		t.Errorf("wait %v", wait)
	}
}

func TestBucket(t *testing.T) {
	for _, c := range []struct {
		rate  uint64
		batch int
		want  uint64
	}{{100_000, 1, 1000}, {10, 1, 1}, {10, 64, 64}, {0, 1, 1}, {1_000_000, 64, 10_000}} {
		if got := Bucket(PPS(c.rate), c.batch); got != c.want {
			t.Errorf("rate %d, batch %d: %d, want %d", c.rate, c.batch, got, c.want)
		}
	}
}
