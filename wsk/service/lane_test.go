// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// limited is a generous grant but for its rate.
func limited(rate string) string { return strings.Replace(generous, "rate = \"unlimited\"\n", rate, 1) }

func (b *bench) pending(n int) {
	b.t.Helper()
	testenv.Eventually(b.t, patience, "operations to be pending", func() bool { return b.transport.Counts().Pending >= n })
}

// TestPartialReplies: an entry that waits does not keep the others of its SEND.
func TestPartialReplies(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	b.transport.SetMode(wsktest.Wait)
	c.write(c.sendRequest(1, "x", entry(1, "10.77.0.2:9"), entry(2, "10.77.0.2:9"), entry(3, "10.77.0.2:9")))
	b.pending(3)
	b.transport.Complete(1, wsk.STATUS_SUCCESS)
	var d ipc.Done
	c.must(c.reply(c.seq), &d)
	if one := d.Completions()[0]; one.ID != 2 || d.Left != 2 {
		t.Errorf("%+v, %d left", one, d.Left)
	}
	b.transport.Complete(0, wsk.STATUS_HOST_UNREACHABLE)
	c.must(c.reply(c.seq), &d)
	if one := d.Completions()[0]; one.ID != 1 || one.Reason != ipc.ReasonUnresolved || one.Bytes != 0 || d.Left != 1 {
		t.Errorf("%+v, %d left", one, d.Left)
	}
	b.transport.CompleteAll(wsk.STATUS_SUCCESS)
	c.must(c.reply(c.seq), &d)
	if d.Completions()[0].ID != 3 || d.Left != 0 {
		t.Errorf("%+v, %d left", d.Completions(), d.Left)
	}
}

// TestCancel: the oldest entry with the id is taken back, whether it is below or waits here, and completes all the
// same.
func TestCancel(t *testing.T) {
	b := newBench(t, limited("rate = \"1pps\"\nburst = 1\n"))
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	b.transport.SetMode(wsktest.Wait)
	c.write(c.sendRequest(1, "x", entry(5, "10.77.0.2:9"), entry(5, "10.77.0.2:9"))) // the second one is over the rate
	send := c.seq
	b.pending(1)
	var done []ipc.Completion
	cancel := func() wsk.NTSTATUS {
		t.Helper()
		seq := c.post(ipc.TypeCancel, 1, &ipc.Cancel{ID: 5})
		for {
			switch m := c.next(); m.Seq {
			case seq:
				return wsk.NTSTATUS(m.Status)
			case send:
				var d ipc.Done
				c.must(m, &d)
				done = append(done, d.Completions()...)
			}
		}
	}
	for i, want := range []wsk.NTSTATUS{wsk.STATUS_SUCCESS, wsk.STATUS_SUCCESS, wsk.STATUS_NOT_FOUND} {
		if got := cancel(); got != want {
			t.Errorf("CANCEL %d: %v, want %v", i, got, want)
		}
	}
	for _, one := range done {
		if wsk.NTSTATUS(one.Status) != wsk.STATUS_CANCELLED {
			t.Errorf("%+v", one)
		}
	}
	if len(done) != 2 {
		t.Errorf("%d completions", len(done))
	}
}

// TestCancelledJobLeavesTheQueue: a SEND that was taken back while it waited has left the queue before its memory serves another one, which
// goes behind those that came earlier.
func TestCancelledJobLeavesTheQueue(t *testing.T) {
	b := newBench(t, limited("rate = \"1pps\"\nburst = 1\n"))
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	debt := entry(1, "10.77.0.2:9")
	debt.Segment = 1
	c.send(1, strings.Repeat("x", 60), debt) // a minute's datagrams
	c.write(c.sendRequest(1, "taken back", entry(2, "10.77.0.2:9")))
	c.write(c.sendRequest(1, "first", entry(3, "10.77.0.2:9")))
	c.post(ipc.TypeCancel, 1, &ipc.Cancel{ID: 2})
	c.write(c.sendRequest(1, "second", entry(4, "10.77.0.2:9")))
	c.skipTo(c.post(ipc.TypeMTU, 1, &ipc.Path{To: entry(0, "10.77.0.2:9")})) // by then all of it has been read
	b.reload(generous)
	c.write(c.sendRequest(1, "third", entry(5, "10.77.0.2:9")))
	c.skipTo(c.seq)
	var left []string
	for _, d := range b.transport.Datagrams()[60:] {
		left = append(left, string(d.Payload))
	}
	if got := strings.Join(left, ", "); got != "first, second, third" {
		t.Errorf("what has left: %s", got)
	}
}

// TestAbort: everything that waits ends, here and below, and so does what comes after it.
func TestAbort(t *testing.T) {
	b := newBench(t, limited("rate = \"1pps\"\nburst = 1\n"))
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	b.transport.SetMode(wsktest.Wait)
	c.write(c.sendRequest(1, "x", entry(1, "10.77.0.2:9"), entry(2, "10.77.0.2:9")))
	first := c.seq
	b.pending(1)
	abort := c.post(ipc.TypeAbort, 1, nil)
	left := map[uint32]int{first: 2, abort: 1}
	for len(left) > 0 {
		m := c.next()
		if m.Seq == abort {
			delete(left, abort)
			continue
		}
		var d ipc.Done
		c.must(m, &d)
		for _, one := range d.Completions() {
			if wsk.NTSTATUS(one.Status) != wsk.STATUS_CANCELLED {
				t.Errorf("%+v", one)
			}
		}
		if d.Left == 0 {
			delete(left, first)
		}
	}
	if one := c.send(1, "x", entry(3, "10.77.0.2:9"))[3]; wsk.NTSTATUS(one.Status) != wsk.STATUS_CANCELLED {
		t.Errorf("after ABORT: %+v", one)
	}
	c.must(c.ask(ipc.TypeClose, 1, nil), nil)
}

// TestRate: what is over the rate waits, or fails where the grant says so.
func TestRate(t *testing.T) {
	b := newBench(t, limited("rate = \"200pps\"\nburst = 10\n"))
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	entries := make([]ipc.Entry, 40)
	for i := range entries {
		entries[i] = entry(uint32(i), "10.77.0.2:9")
	}
	began := time.Now()
	for id, one := range c.send(1, "x", entries...) {
		if one.Status != 0 {
			t.Errorf("%d: %+v", id, one)
		}
	}
	if took := time.Since(began); took < 100*time.Millisecond { // 30 beyond the burst at 200 a second take 150 ms
		t.Errorf("40 datagrams in %v", took)
	}
	if b.server.Statistics().Grants[0].Throttled == 0 {
		t.Error("nothing is counted")
	}

	b = newBench(t, limited("rate = \"1pps\"\nburst = 10\nexcess = \"refuse\"\n"))
	c = b.hello()
	c.open(1, "10.77.0.1:0")
	refused := 0
	for _, one := range c.send(1, "x", entries...) {
		if one.Status != 0 {
			refused++
			if one.Reason != ipc.ReasonRate || wsk.NTSTATUS(one.Status) != wsk.STATUS_INSUFFICIENT_RESOURCES {
				t.Errorf("%+v", one)
			}
		}
	}
	if refused < 20 || refused > 30 {
		t.Errorf("%d of 40 are refused with a burst of 10", refused)
	}
}

// TestSmallSegments: a payload in many small segments goes in parts, whole and in order, and completes once.
func TestSmallSegments(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	payload := strings.Repeat("0123456789", 100)
	e := entry(1, "10.77.0.2:9")
	e.Segment = 3
	done := c.send(1, payload, e, entry(2, "10.77.0.2:9"))
	if done[1].Status != 0 || done[1].Bytes != 1000 || done[2].Status != 0 {
		t.Errorf("%+v", done)
	}
	var all strings.Builder
	left := b.transport.Datagrams()
	for _, d := range left[:len(left)-1] {
		if len(d.Payload) > 3 {
			t.Fatalf("%q", d.Payload)
		}
		all.Write(d.Payload)
	}
	if all.String() != payload || string(left[len(left)-1].Payload) != payload {
		t.Errorf("%d datagrams, %d bytes", len(left), all.Len())
	}
}

// TestCutOff: of a payload that goes in parts no more goes after CANCEL or ABORT, and it is not said to have been sent.
func TestCutOff(t *testing.T) {
	for _, tt := range []struct {
		name string
		typ  ipc.Type
		body appender
	}{{"CANCEL", ipc.TypeCancel, &ipc.Cancel{ID: 1}}, {"ABORT", ipc.TypeAbort, nil}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, generous)
			c := b.hello()
			c.open(1, "10.77.0.1:0")
			b.transport.SetMode(wsktest.Post)
			e := entry(1, "10.77.0.2:9")
			e.Segment = 1
			c.write(c.sendRequest(1, strings.Repeat("x", 100), e))
			send := c.seq
			b.pending(1)
			if m := c.skipTo(c.post(tt.typ, 1, tt.body)); m.Status != 0 {
				t.Errorf("%v", wsk.NTSTATUS(m.Status))
			}
			b.transport.SetMode(wsktest.Deliver)
			b.transport.CompleteAll(wsk.STATUS_SUCCESS)
			if one := c.completions(send)[1]; wsk.NTSTATUS(one.Status) != wsk.STATUS_CANCELLED || one.Bytes != 0 {
				t.Errorf("%v, %d bytes", wsk.NTSTATUS(one.Status), one.Bytes)
			}
			if n := len(b.transport.Datagrams()); n != 64 {
				t.Errorf("%d of 100 segments have left", n)
			}
			if n := b.server.Statistics().Grants[0].Sent; n != 0 {
				t.Errorf("%d are counted as sent", n)
			}
		})
	}
}

// TestRoomForNewDestinations: no more than a socket's share is with the transport of what goes to a destination that has
// not been reached yet, and then comes all at once.
func TestRoomForNewDestinations(t *testing.T) {
	b := newBench(t, generous, func(c *service.Config) { c.Chunks = 64 })
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	b.transport.SetMode(wsktest.Wait)
	entries := make([]ipc.Entry, 40)
	for i := range entries {
		entries[i] = entry(uint32(i), "10.77.0.2:9")
	}
	sends := make(map[uint32]bool)
	for range 4 {
		c.write(c.sendRequest(1, "x", entries...))
		sends[c.seq] = true
	}
	c.skipTo(c.post(ipc.TypeMTU, 1, &ipc.Path{To: entry(0, "10.77.0.2:9")})) // by then all of it has been read
	if n := b.transport.Counts().Pending; n != 64 {
		t.Errorf("%d of 160 datagrams are with the transport", n)
	}
	b.transport.SetMode(wsktest.Deliver)
	b.transport.CompleteAll(wsk.STATUS_SUCCESS)
	for len(sends) > 0 {
		var d ipc.Done
		m := c.next()
		if c.must(m, &d); d.Left == 0 {
			delete(sends, m.Seq)
		}
	}
}

// TestInflight: the grant's bound of datagrams under way.
func TestInflight(t *testing.T) {
	b := newBench(t, generous+"inflight = 3\n")
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	b.transport.SetMode(wsktest.Post)
	c.write(c.sendRequest(1, "x", entry(1, "10.77.0.2:9"), entry(2, "10.77.0.2:9"), entry(3, "10.77.0.2:9"), entry(4, "10.77.0.2:9")))
	b.pending(3)
	b.transport.CompleteAll(wsk.STATUS_SUCCESS)
	done := c.completions(c.seq)
	for id := range uint32(3) {
		if done[id+1].Status != 0 {
			t.Errorf("%+v", done[id+1])
		}
	}
	if done[4].Reason != ipc.ReasonInflight {
		t.Errorf("%+v", done[4])
	}
}

// TestDrain: clients are told that the daemon stops, what is under way completes, and nothing new is opened.
func TestDrain(t *testing.T) {
	b := newBench(t, generous)
	c, staying := b.hello(), b.hello()
	c.open(1, "10.77.0.1:0")
	b.transport.SetMode(wsktest.Post)
	c.write(c.sendRequest(1, "x", entry(1, "10.77.0.2:9")))
	send := c.seq
	b.pending(1)
	ended := make(chan error, 1)
	go func() { ended <- b.server.Shutdown(context.Background()) }()
	if m := c.note(); m.Type != ipc.TypeGoodbye {
		t.Fatalf("%v", m.Type)
	}
	c.refused(c.ask(ipc.TypeOpen, 2, openRequest("10.77.0.1:0")), wsk.STATUS_DEVICE_NOT_READY, ipc.ReasonDraining)
	b.transport.CompleteAll(wsk.STATUS_SUCCESS)
	if one := c.completions(send)[1]; one.Status != 0 {
		t.Errorf("%+v", one)
	}
	c.conn.Close()
	staying.ended(ipc.ReasonDraining)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
