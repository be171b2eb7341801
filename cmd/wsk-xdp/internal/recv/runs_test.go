// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// give hands datagrams with stamps to a sink.
func give(sink *Sink, stamps ...stamp.Stamp) {
	sink.Batch(func(take func([]byte, int)) {
		b := make([]byte, stamp.Size)
		for _, s := range stamps {
			s.Put(b)
			take(b, len(b))
		}
	})
}

// age makes everything that goes on so much older.
func age(sink *Sink, d time.Duration) {
	sink.mu.Lock()
	defer sink.mu.Unlock()
	for _, r := range sink.runs {
		r.last = r.last.Add(-d)
	}
}

func conclusion(sink *Sink, control *Control) *Report {
	var r Report
	r.Fill(sink, control.engine)
	return &r
}

// What comes of a run after its end is late, and no run of its own of which nearly everything is lost.
func TestStragglers(t *testing.T) {
	l, to, sink, control := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	c, err := announce(ctx, l, to, 7)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(900) {
		if n != 100 {
			give(sink, stamp.Stamp{Run: 7, Sequence: n})
		}
	}
	got, err := c.End(ctx, []uint64{901})
	if err != nil || got.Received != 899 || got.Lost != 2 || !got.Balanced {
		t.Fatalf("%+v, %v", got, err)
	}
	give(sink, stamp.Stamp{Run: 7, Sequence: 900}, stamp.Stamp{Run: 7, Sequence: 901}, stamp.Stamp{Run: 7, Stream: 3})
	r := conclusion(sink, control)
	if len(r.Runs) != 1 || r.Totals.Lost != 1 || r.Totals.Late != 1 || r.Totals.Corrupt != 2 || r.Totals.Received != 899 || !r.Runs[0].Balanced {
		t.Errorf("%+v, runs %+v", r.Totals, r.Runs)
	}
	if now := r.Runs[0].Receiving; now != got.Receiving {
		t.Errorf("receiving took %d ns, with stragglers %d", got.Receiving, now)
	}
}

// Numbers that the sender did not give out are corrupt, and leave no gap of lost ones behind.
func TestNumbersThatWereNotSent(t *testing.T) {
	l, to, sink, control := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	c, err := announce(ctx, l, to, 7)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(10) {
		give(sink, stamp.Stamp{Run: 7, Sequence: n})
	}
	give(sink, stamp.Stamp{Run: 7, Sequence: 50}, stamp.Stamp{Run: 7, Sequence: 60}, stamp.Stamp{Run: 7, Stream: 3})
	got, err := c.End(ctx, []uint64{11})
	if err != nil || got.Received != 10 || got.Lost != 1 || got.Corrupt != 3 || !got.Balanced {
		t.Errorf("%+v, %v", got, err)
	}
	if v := conclusion(sink, control).Verdict; v.Text != "1 lost; 3 corrupt" {
		t.Errorf("%+v", v)
	}
}

// A run whose connection breaks goes on as long as its datagrams come, and is not begun anew in its middle.
func TestSenderGoes(t *testing.T) {
	l, to, sink, control := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	c, err := announce(ctx, l, to, 7)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(10) {
		give(sink, stamp.Stamp{Run: 7, Sequence: n})
	}
	c.Close()
	err = testenv.Poll(ctx, "the end of the connection", func() (bool, error) {
		control.mu.Lock()
		defer control.mu.Unlock()
		return control.conns == 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	give(sink, stamp.Stamp{Run: 7, Sequence: 10}, stamp.Stamp{Run: 7, Sequence: 12})
	r := conclusion(sink, control)
	if len(r.Runs) != 1 || r.Totals.Received != 12 || r.Totals.Lost != 1 {
		t.Errorf("%+v, runs %+v", r.Totals, r.Runs)
	}
}

// What there was no memory for is no success.
func TestRefusedIsTold(t *testing.T) {
	_, _, sink, control := receiver(t, 64)
	sink.budget.Bytes = 0
	give(sink, stamp.Stamp{Run: 7}, stamp.Stamp{Run: 7, Sequence: 1})
	if v := conclusion(sink, control).Verdict; v.OK || !strings.HasPrefix(v.Text, "2 of more streams than there is memory for") {
		t.Errorf("%+v", v)
	}
}

// Runs that strangers have begun by a datagram each make room when they are still, in places and in memory. None makes
// room whose datagrams come.
func TestStrangersMakeRoom(t *testing.T) {
	_, _, sink, _ := receiver(t, 64)
	for run := range uint16(MaxRuns) {
		give(sink, stamp.Stamp{Run: 100 + run})
	}
	give(sink, stamp.Stamp{Run: 7})
	if n := sink.Totals().Foreign; n != 1 {
		t.Errorf("%d are of no run: a run that is not still has made room", n)
	}
	age(sink, stillness)
	sink.mu.Lock()
	sink.budget.Bytes = 0
	sink.mu.Unlock()
	give(sink, stamp.Stamp{Run: 7}, stamp.Stamp{Run: 7, Sequence: 1}, stamp.Stamp{Run: 7, Stream: 1})
	if c := sink.Counts(); c.Received != MaxRuns+3 || sink.Totals().Foreign != 1 {
		t.Errorf("%+v, %+v", c, sink.Totals())
	}
}

// The totals are of all runs, also of those that there is no room to list, and strangers' runs are forgotten first.
func TestForgottenRunsCount(t *testing.T) {
	l, to, sink, control := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	c, err := announce(ctx, l, to, 7)
	if err != nil {
		t.Fatal(err)
	}
	give(sink, stamp.Stamp{Run: 7})
	if _, err := c.End(ctx, []uint64{1}); err != nil {
		t.Fatal(err)
	}
	const runs = 3 * MaxRuns
	for run := range uint16(runs) {
		give(sink, stamp.Stamp{Run: 100 + run, Sequence: 1}, stamp.Stamp{Run: 100 + run, Sequence: 3})
		age(sink, stillness)
	}
	r := conclusion(sink, control)
	if r.Totals.Received != 2*runs+1 || r.Totals.Lost != runs || r.Runs[1].Before != 1 || r.Runs[0].Before != 0 || len(r.Runs) != 2*MaxRuns || r.Runs[0].Run != 7 {
		t.Errorf("%+v, %d runs, the first %04x", r.Totals, len(r.Runs), r.Runs[0].Run)
	}
	if now := sink.Counts(); now.Received != 2*runs+1 || now.Lost != runs {
		t.Errorf("%+v", now)
	}
}

// A receiver ends as it was told although a stranger keeps a connection, with an announcement or without, and its sender
// has its report by then.
func TestStrangersDoNotHold(t *testing.T) {
	for _, u := range []Until{{OneOff: true}, {Expect: 2}} {
		l, to, sink, control := receiver(t, 64)
		ctx := testenv.Context(t, time.Minute)
		if _, err := announce(ctx, l, to, 1); err != nil {
			t.Fatal(err)
		}
		var idle net.Conn
		err := l.A.NS.Do(func() (err error) {
			idle, err = net.Dial("tcp", to.String())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
		c, err := announce(ctx, l, to, 2)
		if err != nil {
			t.Fatal(err)
		}
		waiting, stop := context.WithTimeout(ctx, 4*time.Second)
		defer stop()
		ended := make(chan error)
		u.OnSecond = func(time.Duration) {}
		go func() {
			Wait(waiting, u, sink, control)
			ended <- waiting.Err()
		}()
		give(sink, stamp.Stamp{Run: 2}, stamp.Stamp{Run: 2, Sequence: 1})
		select {
		case <-ended:
			t.Fatal("ended before its sender")
		case <-time.After(2 * lookAgain):
		}
		if got, err := c.End(ctx, []uint64{2}); err != nil || got.Received != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("%+v is held by a stranger: %v", u, err)
		}
	}
}

// The times from stamps to here are those of numbers that are received, not of what came again or too late.
func TestDelayOfReceived(t *testing.T) {
	l, to, sink, _ := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	c, err := announce(ctx, l, to, 7)
	if err != nil {
		t.Fatal(err)
	}
	sink.mu.Lock()
	sink.runs[7].delay = newDelay()
	sink.mu.Unlock()
	for _, n := range []uint64{0, 0, 100, 1, 101, 1 << 40} {
		give(sink, stamp.Stamp{Run: 7, Sequence: n})
	}
	got, err := c.End(ctx, []uint64{102})
	if err != nil || got.Received != 3 || got.Delay == nil || got.Delay.Count != 3 {
		t.Errorf("%+v, %+v, %v", got, got.Delay, err)
	}
}

// A run has one name in the table and in the verdict.
func TestRunIsNamedOnce(t *testing.T) {
	_, _, sink, control := receiver(t, 64)
	for _, n := range []uint64{0, 1, 65, 2, 66, 130, 0} { // 0 again, behind the window
		give(sink, stamp.Stamp{Run: 0xbeef, Sequence: n})
	}
	for n := range uint64(130) {
		give(sink, stamp.Stamp{Run: 0xbeef, Sequence: n})
	}
	var table strings.Builder
	r := conclusion(sink, control)
	for _, tb := range r.Tables() {
		if err := tb.Write(&table); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(r.Verdict.Text, "the sums of run beef do not come out even") || strings.Count(table.String(), "beef") != 2 {
		t.Errorf("%s", &table)
	}
}
