// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A schedule gives each step's rate for its time, whatever the sleeps, and never more at any moment.
func TestPacerGoesBySteps(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	c := Config{Steps: []Step{{PPS(1000), time.Second}, {PPS(3), 1500 * time.Millisecond}, {PPS(100_000), 250 * time.Millisecond}}}
	c.Duration, c.Rate = 2750*time.Millisecond, Mean(c.Steps)
	if got := Requested(c); got != 1000+4+25_000 {
		t.Errorf("%d are asked for", got)
	}
	p := c.Pacer(func(Rate) uint64 { return math.MaxUint64 })
	due := func(at time.Duration) (n float64) {
		for _, s := range c.Steps {
			n += s.Rate.PerSecond() * min(at, s.Length).Seconds()
			if at -= s.Length; at <= 0 {
				break
			}
		}
		return n
	}
	given := uint64(0)
	for at := time.Duration(0); at < c.Duration; {
		given += p.Take(at, math.MaxUint64)
		if exact := due(at); float64(given) > exact+1e-6 || float64(given) < exact-3 {
			t.Fatalf("%d given at %v, %f are due", given, at, exact)
		}
		wait := p.Wait(at, 1)
		if wait <= 0 {
			t.Fatalf("a wait of %v at %v", wait, at)
		}
		q := p // a nanosecond earlier there is none, and at its time there is one
		if n := q.Take(at+wait-1, 1); n != 0 {
			t.Fatalf("%d were there before their time, at %v", n, at+wait-1)
		}
		if n := q.Take(at+wait, 1); n != 1 && at+wait < c.Duration {
			t.Fatalf("%d after the wait, at %v", n, at+wait)
		}
		at += time.Duration(random.Int64N(int64(20*time.Millisecond))) + 1
	}
	given += p.Take(c.Duration, math.MaxUint64)
	if given != Requested(c) || p.Forfeited() != 0 {
		t.Errorf("%d were given and %d forfeited, of %d", given, p.Forfeited(), Requested(c))
	}
}

// Bursts leave whole, at the time of their last packet, and the last one when the run ends.
func TestPacerGivesBursts(t *testing.T) {
	type burst struct {
		at time.Duration
		n  uint64
	}
	bursts := func(c Config) (out []burst) {
		c.Rate, c.Burst = PPS(1000), 10
		p := c.Pacer(func(Rate) uint64 { return 1 })
		left, at := c.Count, time.Duration(0)
		for c.Duration == 0 || at < c.Duration {
			at += p.Wait(at, 1)
			if c.Duration > 0 {
				at = min(at, c.Duration)
			}
			want := uint64(math.MaxUint64)
			if c.Count > 0 {
				want = left
			}
			n := p.Take(at, want)
			out = append(out, burst{at, n})
			if left -= n; c.Count > 0 && left == 0 {
				break
			}
		}
		return out
	}
	const ms = time.Millisecond
	if got := bursts(Config{Count: 25}); !slices.Equal(got, []burst{{10 * ms, 10}, {20 * ms, 10}, {25 * ms, 5}}) {
		t.Errorf("25 packets: %v", got)
	}
	if got := bursts(Config{Duration: 35 * ms}); !slices.Equal(got, []burst{{10 * ms, 10}, {20 * ms, 10}, {30 * ms, 10}, {35 * ms, 5}}) {
		t.Errorf("35 ms: %v", got)
	}
	// What a pause has cost is not taken for what is still to come.
	c := Config{Rate: PPS(1000), Burst: 10, Count: 25}
	p := c.Pacer(func(Rate) uint64 { return 1 })
	if n := p.Take(140*ms, 5); n != 5 || p.Forfeited() != 40 {
		t.Errorf("%d after a pause, %d forfeited", n, p.Forfeited())
	}
	if n := p.Take(140*ms, 20); n != 5 {
		t.Errorf("%d more of that burst", n)
	}
	if wait := p.Wait(140*ms, 1); wait != 5*ms {
		t.Errorf("the next takes %v, which is twice the rate", wait)
	}
	if n := p.Take(145*ms, 15); n != 10 {
		t.Errorf("then %d", n)
	}
	if n := p.Take(150*ms, 5); n != 5 {
		t.Errorf("at the end %d", n)
	}
}

// A thread that was held up between looking at the clock and asking gets nothing, and forfeits nothing.
func TestPacerKeepsItsHeadBehindTheClock(t *testing.T) {
	p := NewPacer(PPS(1000), 5)
	if n := p.Take(10*time.Millisecond, 5); n != 5 {
		t.Fatal(n)
	}
	if n := p.Take(3*time.Millisecond, 5); n != 0 || p.Forfeited() != 0 {
		t.Errorf("%d at an earlier time, %d forfeited", n, p.Forfeited())
	}
}

// Intervals end with seconds and with steps, and the last of them with the run; together they are all of it.
func TestIntervals(t *testing.T) {
	const ms = time.Millisecond
	for name, one := range map[string]struct {
		c     Config
		at    []time.Duration
		ends  []time.Duration
		steps []int
	}{
		"a short run":       {Config{}, []time.Duration{3 * ms}, []time.Duration{3 * ms}, []int{0}},
		"two seconds":       {Config{Duration: 2000 * ms}, []time.Duration{999 * ms, 1001 * ms, 1999 * ms, 2000 * ms, 2003 * ms}, []time.Duration{1001 * ms, 2003 * ms}, []int{0, 0}},
		"a count":           {Config{}, []time.Duration{1000 * ms, 2500 * ms}, []time.Duration{1000 * ms, 2500 * ms}, []int{0, 0}},
		"half a second":     {Config{Duration: 500 * ms}, []time.Duration{500 * ms, 501 * ms}, []time.Duration{501 * ms}, []int{0}},
		"steps":             {Config{Duration: 1600 * ms, Steps: []Step{{1, 300 * ms}, {1, 1300 * ms}}}, []time.Duration{301 * ms, 1000 * ms, 1600 * ms}, []time.Duration{301 * ms, 1000 * ms, 1600 * ms}, []int{1, 2, 2}},
		"a step missed":     {Config{Duration: 900 * ms, Steps: []Step{{1, 300 * ms}, {1, 300 * ms}, {1, 300 * ms}}}, []time.Duration{650 * ms, 901 * ms}, []time.Duration{650 * ms, 901 * ms}, []int{1, 3}},
		"nothing behind it": {Config{}, []time.Duration{1000 * ms, 1010 * ms}, []time.Duration{1000 * ms}, []int{0}},
	} {
		var got []Interval
		one.c.OnInterval = func(i Interval) { got = append(got, i) }
		v := NewIntervals(&one.c)
		total := Counts{}
		for n, at := range one.at {
			if name != "nothing behind it" || n == 0 {
				total.Submitted += 10
			}
			if n == len(one.at)-1 {
				v.Last(at, total, 0, Latency{})
			} else if at >= v.End() {
				v.Cut(at, total, 0, Latency{})
			}
		}
		sum, since := uint64(0), time.Duration(0)
		for n, i := range got {
			if n >= len(one.ends) || i.Start != since || i.End != one.ends[n] || i.Step != one.steps[n] {
				t.Errorf("%s: %+v", name, got)
				break
			}
			sum, since = sum+i.Counts.Submitted, i.End
		}
		if len(got) != len(one.ends) || sum != total.Submitted {
			t.Errorf("%s: %+v, %d of %d", name, got, sum, total.Submitted)
		}
	}
}

// How late is counted from when the first of a call was due.
func TestDepartures(t *testing.T) {
	c := Config{Rate: PPS(1000)}
	p, d := c.Pacer(func(Rate) uint64 { return 100 }), NewDepartures(&c)
	for _, at := range []time.Duration{time.Millisecond + 20*time.Microsecond, 5 * time.Millisecond} {
		d.Left(&p, p.Take(at, 100), at)
	}
	r := pacingOf(&c, &Result{Departures: d}, false)
	if *r.Late != 1 || *r.P50 < 19_900 || *r.P50 > 20_100 || *r.Max < 2_990_000 || *r.Max > 3_010_000 {
		t.Errorf("%d late, p50 %d, max %d: the second call had waited since 2 ms", *r.Late, *r.P50, *r.Max)
	}
	// A step that is over is where its packets were due.
	c = Config{Steps: []Step{{PPS(1000), 100 * time.Millisecond}, {PPS(2000), time.Second}}, Rate: PPS(1909), Duration: 1100 * time.Millisecond}
	p, d = c.Pacer(func(Rate) uint64 { return 100 }), NewDepartures(&c)
	p.Take(40*time.Millisecond, 100)
	d.Left(&p, p.Take(120*time.Millisecond, 1), 120*time.Millisecond)
	if r := pacingOf(&c, &Result{Departures: d}, false); *r.Max < 78_900_000 || *r.Max > 79_100_000 {
		t.Errorf("late by %d, of the step before, which was due at 41 ms", *r.Max)
	}
	var none *Departures
	none.Left(&p, 1, 0)
	if empty := pacingOf(&c, &Result{Departures: none}, false); empty.P50 != nil || empty.Late != nil || NewDepartures(&Config{}) != nil {
		t.Error("a run without a rate has departures")
	}
}
