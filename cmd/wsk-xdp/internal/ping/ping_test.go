// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"context"
	"slices"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

const testRun = 0x1234

func newTally(t *testing.T, s Schedule, patience time.Duration, size int) *Tally {
	t.Helper()
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	return NewTally(s, patience, testRun, make([]byte, size), clock)
}

func TestSchedule(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		s     Schedule
		total uint64
		end   time.Duration
	}{
		{Schedule{Rate: blast.PPS(1000), Duration: 4 * time.Second}, 4000, 3999 * ms},
		{Schedule{Rate: blast.PPS(1000), Count: 5}, 5, 4 * ms},
		{Schedule{Rate: blast.PPS(1000), Count: 5, Duration: 3 * ms}, 3, 2 * ms},
		{Schedule{Rate: blast.PPS(1000), Count: 2, Duration: 3 * ms}, 2, ms},
		{Schedule{Rate: blast.PPS(1000), Duration: 3*ms + 1}, 4, 3 * ms},
		{Schedule{Rate: blast.PPS(1) / 2, Duration: time.Second}, 1, 0},
		{Schedule{Rate: blast.PPS(3), Duration: time.Second}, 3, 666_666_667},
		{Schedule{Rate: blast.PPS(1000)}, 0, 0},
	} {
		if n, end := c.s.Total(), c.s.End(); n != c.total || end != c.end {
			t.Errorf("%+v: %d until %v, want %d until %v", c.s, n, end, c.total, c.end)
		}
	}
	s := Schedule{Rate: blast.PPS(1000), Count: 5}
	for elapsed, want := range map[time.Duration]uint64{0: 1, ms - 1: 1, ms: 2, 3*ms + 7: 4, time.Hour: 5} {
		if n := s.Due(elapsed); n != want {
			t.Errorf("after %v %d are due, want %d", elapsed, n, want)
		}
	}
}

// script sends pings and hands over answers at times of its own.
type script struct {
	t     *testing.T
	tally *Tally
	start time.Time
	sent  [][]byte
}

func newScript(t *testing.T, tally *Tally) *script {
	s := &script{t: t, tally: tally, start: time.Now()}
	tally.begin(s.start)
	return s
}

// send sends the next ping so much later than it is due.
func (s *script) send(late time.Duration) {
	number := uint64(len(s.sent))
	b := make([]byte, len(s.tally.body))
	s.tally.sends(number, s.start.Add(s.tally.schedule.At(number)+late), b)
	if !stamp.IsPing(b) {
		s.t.Errorf("ping %d is none: %x", number, b)
	}
	stamp.MakeAnswer(b)
	s.sent = append(s.sent, b)
}

// answer brings an answer so much later than its ping was due.
func (s *script) answer(number int, took time.Duration) {
	b := s.sent[number]
	s.tally.Take(b, len(b), s.start.Add(s.tally.schedule.At(uint64(number))+took))
}

// Each ping has one fate, and each datagram is of one class.
func TestTallyTellsFates(t *testing.T) {
	tally := newTally(t, Schedule{Rate: blast.PPS(1000), Count: 10}, time.Second, 40)
	early := make([]byte, 40)
	stamp.Stamp{Run: testRun}.PutPing(early)
	stamp.MakeAnswer(early)
	tally.Take(early, 40, time.Now()) // before it begins: foreign
	s := newScript(t, tally)
	for range 9 {
		s.send(0)
	}
	us := time.Microsecond
	s.answer(0, 10*us)
	s.answer(2, 20*us)
	s.answer(1, 30*us) // reordered by one
	s.answer(1, 40*us) // again
	s.answer(3, time.Second+1)
	s.answer(4, time.Second) // in time
	// 5 to 8 are missing, 9 was not sent.
	corrupt := slices.Clone(s.sent[5])
	corrupt[39] = 1
	tally.Take(corrupt, 40, time.Now())
	tally.Take(s.sent[5], 41, time.Now())
	tally.Take(s.sent[5][:39], 39, time.Now())
	never := slices.Clone(s.sent[5])
	stamp.Stamp{Run: testRun, Sequence: 9}.PutPing(never)
	stamp.MakeAnswer(never)
	tally.Take(never, 40, time.Now())
	other := slices.Clone(s.sent[5])
	stamp.Stamp{Run: testRun + 1, Sequence: 5}.PutPing(other)
	tally.Take(other, 40, time.Now()) // a ping
	stamp.MakeAnswer(other)
	tally.Take(other, 40, time.Now()) // of another run
	tally.Take(nil, 0, time.Now())

	res := Result{Due: 10}
	res.settle(tally.now(), &fakeLink{failed: map[string]uint64{"STATUS_X": 1}, underWay: 1})
	want := Counts{Sent: 9, Answered: 4, Late: 1, Duplicate: 1, Reordered: 1, Extent: 1, Corrupt: 4, Foreign: 4}
	if res.Counts != want {
		t.Errorf("%+v, want %+v", res.Counts, want)
	}
	if res.Lost != 2 || res.Failed != 1 || res.Unsent != 2 || res.Answered+res.Late+res.Lost+res.Failed+res.Unsent != res.Due {
		t.Errorf("lost %d, failed %d, unsent %d", res.Lost, res.Failed, res.Unsent)
	}
	r := &Report{}
	r.Fill(tally, res)
	r.Conclude()
	if r.RoundTrip.Count != 5 || r.RoundTrip.Min != 10_000 || r.Verdict.ID != "loss" || r.LimitedBy != "rate" {
		t.Errorf("%+v, %+v", r.RoundTrip, r.Verdict)
	}
	var sum uint64
	for _, b := range r.Buckets {
		sum += b.Pings
	}
	if sum != 5 || r.Buckets[0] != (Bucket{10_000, 20_000, 1}) {
		t.Errorf("%+v", r.Buckets)
	}
}

// A sender that stood still for 100 ms has made 100 pings wait, of 4000, and each of them shows.
func TestStallOfTheSenderShows(t *testing.T) {
	tally := newTally(t, Schedule{Rate: blast.PPS(1000), Count: 4000}, time.Second, stamp.Size)
	s := newScript(t, tally)
	for number := range 4000 {
		late := max(time.Duration(2100-number)*time.Millisecond, 0) // all of them leave at 2.1 s
		if number < 2000 {
			late = 0
		}
		s.send(late)
		s.answer(number, late+50*time.Microsecond)
	}
	r := &Report{}
	res := Result{Due: 4000}
	res.settle(tally.now(), &fakeLink{})
	r.Fill(tally, res)
	r.Conclude()
	ms := time.Millisecond.Nanoseconds()
	if got := r.RoundTrip; got.Max < 100*ms || got.P99 < 50*ms || got.P50 > ms {
		t.Errorf("from the time that they were due: %+v", got)
	}
	if got := r.FromSend; got.Max > ms {
		t.Errorf("from the call: %+v", got)
	}
	if r.LimitedBy != "cpu" || r.Verdict.ID != "stalled" || r.Verdict.Text != "the sender stalled 100ms at 2.00s: 91 pings waited" {
		t.Errorf("limited by %s: %+v", r.LimitedBy, r.Verdict)
	}
	h, err := hdr.Decode([]byte(r.HDR.RoundTrip))
	if err != nil || h.TotalCount() != 4000 || h.Max() != r.RoundTrip.Max {
		t.Errorf("the histogram in full: %v", err)
	}
}

// An echo that stood still is not the sender's fault.
func TestStallOfTheEchoShows(t *testing.T) {
	tally := newTally(t, Schedule{Rate: blast.PPS(1000), Count: 4000}, time.Second, stamp.Size)
	s := newScript(t, tally)
	for number := range 4000 {
		s.send(0)
		took := 50 * time.Microsecond
		if number >= 2000 {
			took += max(time.Duration(2100-number)*time.Millisecond, 0)
		}
		s.answer(number, took)
	}
	r := &Report{}
	res := Result{Due: 4000}
	res.settle(tally.now(), &fakeLink{})
	r.Fill(tally, res)
	r.Conclude()
	ms := time.Millisecond.Nanoseconds()
	if got := r.RoundTrip; got.Max < 100*ms || got.P99 < 50*ms || *got != *r.FromSend || r.LimitedBy != "rate" || !r.Verdict.OK {
		t.Errorf("%+v, limited by %s, %+v", got, r.LimitedBy, r.Verdict)
	}
}

// fakeLink answers every ping at once, once it has a tally.
type fakeLink struct {
	tally    *Tally
	room     int // for so many, then there is none; 0 is room for all
	overAt   int
	sent     int
	failed   map[string]uint64
	underWay int
}

func (l *fakeLink) Ready(context.Context, time.Duration) bool { return l.room == 0 || l.sent < l.room }
func (l *fakeLink) Send(b []byte) {
	l.sent++
	b = append([]byte(nil), b...)
	stamp.MakeAnswer(b)
	l.tally.Take(b, len(b), time.Now())
}
func (l *fakeLink) Over() bool                { return l.overAt > 0 && l.sent >= l.overAt }
func (l *fakeLink) Failed() map[string]uint64 { return l.failed }
func (l *fakeLink) UnderWay() int             { return l.underWay }

func TestRun(t *testing.T) {
	s := Schedule{Rate: blast.PPS(10_000), Count: 300}
	run := func(ctx context.Context, link *fakeLink, s Schedule) Result {
		link.tally = newTally(t, s, testenv.Patience(time.Minute), stamp.Size)
		return Run(ctx, link.tally, link, func(Interval) {})
	}
	ctx := testenv.Context(t, time.Minute)
	if r := run(ctx, &fakeLink{}, s); r.Due != 300 || r.Answered != 300 || r.Lost+r.Failed+r.Unsent != 0 || r.Interrupted || r.Over {
		t.Errorf("%+v", r)
	}
	if r := run(ctx, &fakeLink{room: 200}, s); r.Due != 300 || r.Answered != 200 || r.Unsent != 100 || r.Interrupted {
		t.Errorf("no room: %+v", r)
	}
	if r := run(ctx, &fakeLink{overAt: 100}, s); r.Due != 300 || r.Answered != 100 || r.Unsent != 200 || !r.Over {
		t.Errorf("over: %+v", r)
	}
	interrupted, stop := context.WithCancel(ctx)
	stop()
	if r := run(interrupted, &fakeLink{}, s); r.Answered != 0 || r.Sent != 0 || !r.Interrupted || r.Due == 0 || r.Due > 300 {
		t.Errorf("interrupted: %+v", r)
	}
}

func TestVerdicts(t *testing.T) {
	closed := icmp.NewListener()
	closed.Hear(wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 3})
	for _, c := range []struct {
		r    Report
		want Verdict
	}{
		{Report{Totals: Totals{Due: 3, Sent: 3, Answered: 3}}, Verdict{"answered", true, "every ping was answered"}},
		{Report{Totals: Totals{Due: 3, Sent: 3, Lost: 3}}, Verdict{"unanswered", false, "none of 3 pings was answered: is wsk-xdp echo there?"}},
		{Report{Totals: Totals{Due: 1, Sent: 1, Lost: 1}, ICMPErrors: closed.Errors()},
			Verdict{"port_closed", false, "the destination answers, the port is closed (1 time); none of 1 ping was answered"}},
		{Report{Totals: Totals{Due: 3}, Interrupted: true}, Verdict{"nothing", false, "nothing was sent (interrupted)"}},
		{Report{Totals: Totals{Due: 9, Sent: 9, Answered: 5, Late: 1, Lost: 3, Duplicate: 2}},
			Verdict{"loss", false, "3 of 9 pings lost; 1 answered late; 2 came again"}},
		{Report{Totals: Totals{Due: 3, Sent: 3, Answered: 3}, SlowPath: SlowReport{Sent: 3}},
			Verdict{"slow_path", false, "SLOW PATH: 3 sends went through the kernel's stack"}},
	} {
		c.r.Conclude()
		if c.r.Verdict != c.want {
			t.Errorf("%+v, want %+v", c.r.Verdict, c.want)
		}
		if got, want := c.r.Unanswered(), c.r.Totals.Lost == c.r.Totals.Sent && c.r.Totals.Sent > 0; got != want {
			t.Errorf("%+v: unanswered %v", c.r.Totals, got)
		}
	}
}
