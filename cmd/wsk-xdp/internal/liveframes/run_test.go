// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// small is a plan of 64-byte frames.
func small(t testing.TB, flows uint64) frames.Plan {
	p := plan(t, true, flows)
	p.Sizes, p.Payload = []int{18}, p.Payload[:18]
	return p
}

func sum(list []uint64) (n uint64) {
	for _, v := range list {
		n += v
	}
	return n
}

// balanced is whether every number that was given out is accounted for.
func balanced(t *testing.T, s *Sender, res *blast.Result) {
	t.Helper()
	sent, err := s.Sent()
	if err != nil || sum(sent) != res.Submitted || res.Completed+res.Failed != res.Submitted {
		t.Errorf("%d numbers given out, %+v, %v", sum(sent), res, err)
	}
}

// As many as were asked for leave, however the rate is kept and however many threads there are, and each stream has its numbers.
func TestCountIsExact(t *testing.T) {
	l := lab(t, false)
	for _, c := range []struct {
		config blast.Config
		flows  uint64
		o      Options
		most   uint64 // of the numbers of a stream
	}{
		{blast.Config{Count: 100_003, Batch: 64}, 1000, Options{}, 101},
		{blast.Config{Count: 1, Batch: 64}, 1, Options{}, 1},
		{blast.Config{Count: 100_003, Batch: 256}, 1000, Options{CPUs: []int{0}}, 101},
		{blast.Config{Count: 20_001, Batch: 7}, 3000, Options{CPUs: []int{0, 1}}, 24},
		{blast.Config{Count: 1, Batch: 64}, 3000, Options{CPUs: []int{0, 1}}, 1},
		{blast.Config{Count: 5000, Batch: 64, Rate: blast.PPS(100_000)}, 10, Options{}, 500},
		{blast.Config{Count: 500, Batch: 64, Rate: blast.PPS(5000)}, 10, Options{}, 50},
		{blast.Config{Count: 5000, Batch: 64, Rate: blast.PPS(100_000)}, 10, Options{Spin: true}, 500},
		{blast.Config{Count: 5001, Batch: 64, Rate: blast.PPS(100_000)}, 10, Options{Spin: true, CPUs: []int{0, 1}}, 501},
		{blast.Config{Count: 5000, Batch: 64, Rate: blast.PPS(100_000)}, 10, Options{CPUs: []int{0, 1}}, 5000},
	} {
		s := open(t, l, c.config, small(t, c.flows), c.o)
		res, err := s.Run(testenv.Context(t, time.Minute), nil)
		// What a veth has no room for, because the machine is busy with other things, is refused, and no mistake of this.
		busy := res.ByStatus[wsk.STATUS_NETWORK_BUSY]
		if err != nil || res.Submitted != c.config.Count || res.Completed+busy != c.config.Count || res.Interrupted || res.Dead ||
			busy == 0 && res.Payload != 18*c.config.Count || res.Sending <= 0 {
			t.Errorf("%+v: %+v, %v", c, res, err)
		}
		balanced(t, s, &res)
		if sent, _ := s.Sent(); slices.Max(sent) > c.most {
			t.Errorf("%+v: streams have up to %d numbers", c, slices.Max(sent))
		}
	}
}

// What fell due until the end of the time is sent or forfeited, and the time ends.
func TestDuration(t *testing.T) {
	l := lab(t, false)
	for _, o := range []Options{{}, {Spin: true}, {Spin: true, CPUs: []int{0, 1}}} {
		c := blast.Config{Duration: 1200 * time.Millisecond, Batch: 64, Rate: blast.PPS(20_000)}
		s := open(t, l, c, small(t, 10), o)
		intervals := 0
		res, err := s.Run(testenv.Context(t, time.Minute), func(blast.Interval) { intervals++ })
		due := uint64(24_000)
		if n := res.Submitted + res.Forfeited; err != nil || n > due || n < due-2 || res.Sending != c.Duration || intervals == 0 {
			t.Errorf("%+v: %+v, %d intervals, %v", o, res, intervals, err)
		}
		balanced(t, s, &res)
	}
	s := open(t, l, blast.Config{Duration: 100 * time.Millisecond, Batch: 64}, small(t, 10), Options{})
	res, err := s.Run(testenv.Context(t, time.Minute), nil)
	if err != nil || res.Submitted == 0 || res.Interrupted {
		t.Errorf("%+v, %v", res, err)
	}
	balanced(t, s, &res)
}

// An interrupt ends a run without an end, and what was sent until then is accounted for.
func TestInterrupt(t *testing.T) {
	l := lab(t, false)
	for _, c := range []struct {
		rate blast.Rate
		o    Options
	}{{0, Options{}}, {0, Options{CPUs: []int{0, 1}}}, {blast.PPS(1000), Options{}}, {blast.PPS(100_000), Options{}}, {blast.PPS(100_000), Options{Spin: true}}} {
		ctx, cancel := context.WithCancel(testenv.Context(t, time.Minute))
		s := open(t, l, blast.Config{Rate: c.rate, Batch: 64}, small(t, 10), c.o)
		res, err := s.Run(ctx, func(blast.Interval) { cancel() })
		cancel()
		if err != nil || !res.Interrupted || res.Completed == 0 {
			t.Errorf("%+v: %+v, %v", c, res, err)
		}
		balanced(t, s, &res)
	}
}

// What the driver does not take is counted, frame by frame, and nothing else is.
func TestRefusals(t *testing.T) {
	l := lab(t, false)
	p := small(t, 10)
	s := open(t, l, blast.Config{Count: 1000, Batch: 64}, p, Options{})
	if err := l.B.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	res, err := s.Run(testenv.Context(t, time.Minute), nil)
	if err != nil || res.Submitted != 1000 || res.Completed != 0 || res.ByStatus[wsk.STATUS_DEVICE_NOT_READY] != 1000 || res.Payload != 0 {
		t.Errorf("the other end is down: %+v, %v", res, err)
	}
	balanced(t, s, &res)
	if err := l.A.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	s = open(t, l, blast.Config{Count: 1000, Batch: 64}, p, Options{})
	res, err = s.Run(testenv.Context(t, time.Minute), nil)
	if err != nil || res.Submitted != 1000 || res.Completed != 0 || res.ByStatus[wsk.STATUS_DEVICE_NOT_READY] != 1000 {
		t.Errorf("the link is down: %+v, %v", res, err)
	}
	balanced(t, s, &res)
}

// A frame that is longer than the device's MTU allows is refused before the driver sees it, and counted.
func TestTooLongForTheDevice(t *testing.T) {
	l := lab(t, false)
	p := small(t, 10)
	p.Payload = make([]byte, 2000)
	p.Sizes = []int{2000, 18}
	s := open(t, l, blast.Config{Count: 1000, Batch: 64}, p, Options{})
	res, err := s.Run(testenv.Context(t, time.Minute), nil)
	if err != nil || res.Completed+res.ByStatus[wsk.STATUS_NETWORK_BUSY] != 500 || res.ByStatus[wsk.STATUS_INVALID_BUFFER_SIZE] != 500 {
		t.Errorf("%+v, %v", res, err)
	}
	balanced(t, s, &res)
	p.Payload, p.Sizes = make([]byte, 5000), []int{5000}
	err = l.A.NS.Do(func() error {
		_, err := Open(blast.Config{Count: 1, Batch: 1}, p, Options{Device: Device{l.A.If.Name(), l.A.If.Index()}})
		return err
	})
	if !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
}

// A run over an interface that goes away ends, and says so.
func TestInterfaceGone(t *testing.T) {
	l := lab(t, false)
	s := open(t, l, blast.Config{Batch: 64, Rate: blast.PPS(20_000)}, small(t, 10), Options{})
	deleted := false
	res, err := s.Run(testenv.Context(t, time.Minute), func(blast.Interval) {
		if !deleted {
			deleted = true
			if err := l.A.If.Delete(); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || !res.Dead || res.Completed == 0 || res.ByStatus[wsk.STATUS_FILE_FORCED_CLOSED] == 0 {
		t.Errorf("%+v, %v", res, err)
	}
	balanced(t, s, &res)
}

func TestCheck(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.XDPProgram)
	l := testenv.NewLabT(t, testenv.Topology{})
	check := func() error { return l.A.NS.Do(func() error { return Check(Device{l.A.If.Name(), l.A.If.Index()}) }) }
	if err := check(); !errors.Is(err, ErrImpossible) {
		t.Errorf("a veth whose other end takes nothing: %v", err)
	}
	testenv.NewDropCounterT(t, l.B.If, testenv.DropCounterOptions{})
	if err := check(); err != nil {
		t.Error(err)
	}
	if err := LanesFit(1, 2); err == nil {
		t.Error("one flow for two threads")
	}
	if err := LanesFit(1025, 3); err == nil {
		t.Error("streams of two threads")
	}
	if err := errors.Join(LanesFit(1024, 3), LanesFit(frames.MaxFlows, 8)); err != nil {
		t.Error(err)
	}
}

func TestOffset(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"monotonic           0         0\nboottime            0         0\n": 0, "": 0, "monotonic x 0\n": 0,
		"boottime 9 9\nmonotonic  -2 500000000\n": -1500 * time.Millisecond,
	} {
		if got := parseOffset(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}
