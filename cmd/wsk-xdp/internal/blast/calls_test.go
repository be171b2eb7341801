// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// fitful is a lane that takes no more than three packets a call, has no room each other time, and fails the last of each seven.
type fitful struct {
	calls, numbered, out uint64
	wrong                error
}

func (f *fitful) Send(n uint64, _ time.Time) (out Outcome, err error) {
	f.calls++
	if f.wrong != nil {
		return out, f.wrong
	}
	out.Completed, f.out = f.out, 0
	if out.Full = f.calls%2 == 0; out.Full {
		return out, nil
	}
	for range min(n, 3) {
		out.Submitted++
		if f.numbered++; f.numbered%7 == 0 {
			out.Failed++
			out.Status = wsk.STATUS_HOST_UNREACHABLE
		} else {
			f.out++
		}
	}
	return out, nil
}

func (f *fitful) InFlight() int { return int(f.out) }

// What has no room goes later, once; what the kernel still has is waited for; a rate and a time are kept.
func TestRunCalls(t *testing.T) {
	for _, c := range []Config{
		{Count: 100, Batch: 8, Drain: time.Minute},
		{Count: 100, Batch: 1, Rate: PPS(100_000), Drain: time.Minute},
		{Rate: PPS(1000), Duration: 100 * time.Millisecond, Batch: 8, Drain: time.Minute},
	} {
		lane := &fitful{}
		res, err := RunCalls(t.Context(), c, lane)
		all := res.Submitted
		if c.Count == 0 {
			all += res.Forfeited // with a count it goes on until all are sent
		}
		if err != nil || all != 100 || res.Submitted != lane.numbered || res.Failed != res.Submitted/7 ||
			res.Completed+res.Failed != res.Submitted || res.ByStatus[wsk.STATUS_HOST_UNREACHABLE] != res.Failed || res.Unfinished != 0 {
			t.Errorf("%+v: %+v, %v", c, res, err)
		}
		if res.Blocked == 0 || res.Interrupted {
			t.Errorf("%+v: %+v", c, res)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := RunCalls(ctx, Config{Rate: PPS(1), Batch: 1, Drain: time.Minute}, &fitful{}); err != nil || !res.Interrupted {
		t.Errorf("%+v, %v", res, err)
	}
	wrong := errors.New("gone")
	if _, err := RunCalls(t.Context(), Config{Count: 1, Batch: 1}, &fitful{wrong: wrong}); !errors.Is(err, wrong) {
		t.Error(err)
	}
}

// Numbers that were given out for packets that did not leave are given out again.
func TestNumbersComeBack(t *testing.T) {
	n := NewNumbers(StampPktgen, 7, stampClock(t), 3)
	b := make([]byte, 16)
	n.Put(b, 1, time.Now())
	n.Put(b, 4, time.Now())
	n.Put(b, 2, time.Now())
	n.Back(4)
	if s := n.Sent(); len(s) != 3 || s[0] != 0 || s[1] != 1 || s[2] != 1 {
		t.Error(s)
	}
	if NewNumbers(StampNone, 7, stampClock(t), 3).Sent() != nil {
		t.Error("numbers without stamps")
	}
}

func stampClock(t *testing.T) stamp.Clock {
	t.Helper()
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	return clock
}
