// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A run that is accounted for in the kernel ends as others do: what comes of it later is late or corrupt, and after two minutes of another
// run. Strangers' runs make room for one that is announced, and none is counted twice.
func TestRunsInTheKernel(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.XDPProgram)
	testenv.RequireKernel(t, 5, 12, "BPF_CMPXCHG")
	l := testenv.NewLabT(t, testenv.Topology{})
	local := netip.AddrPortFrom(l.B.IPv4(), 9000)
	sink, err := NewSink(64, VerifyPayload)
	if err != nil {
		t.Fatal(err)
	}
	e, err := OpenXDP(netns.Borrow(l.B.NS.FD()), []string{l.B.If.Name()}, local, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	control, err := Listen(netns.Borrow(l.B.NS.FD()), local, sink, e, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	ctx := testenv.Context(t, time.Minute)
	conn := dialUDP(t, l, local)
	sent := uint64(0)
	send := func(stamps ...stamp.Stamp) {
		t.Helper()
		b := make([]byte, stamp.Size)
		for _, s := range stamps {
			s.Put(b)
			write(t, conn, b)
			sent++
		}
		if err := testenv.Poll(ctx, "every datagram", func() (bool, error) { return sink.Totals().Packets == sent, nil }); err != nil {
			t.Fatalf("%v: %+v of %d, %v", err, sink.Totals(), sent, e.Drops())
		}
	}
	c, err := announce(ctx, l, local, 7)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(10) {
		if n != 3 {
			send(stamp.Stamp{Run: 7, Sequence: n})
		}
	}
	got, err := c.End(ctx, []uint64{11})
	if err != nil || got.Received != 9 || got.Lost != 2 || !got.Balanced || got.Engine != "xdp" {
		t.Fatalf("%+v, %v", got, err)
	}
	send(stamp.Stamp{Run: 7, Sequence: 10}, stamp.Stamp{Run: 7, Sequence: 11}, stamp.Stamp{Run: 7, Stream: 3})
	if c := sink.Counts(); c.Received != 9 || c.Late != 1 || c.Lost != 1 || c.Corrupt != 2 {
		t.Errorf("stragglers: %+v", c)
	}
	sink.mu.Lock()
	sink.ended[0].last = sink.ended[0].last.Add(-stragglers)
	sink.mu.Unlock()
	sink.Totals() // which looks
	send(stamp.Stamp{Run: 7, Sequence: 100})
	if c := sink.Counts(); c.Received != 10 || c.Before != 100 {
		t.Errorf("of another run: %+v", c)
	}
	begun := time.Now()
	for run := range uint16(MaxRuns - 1) {
		send(stamp.Stamp{Run: 100 + run})
	}
	send(stamp.Stamp{Run: 1000})
	if n := sink.Totals().Foreign; n != 1 && time.Since(begun) < stillness { // later one of them has made room
		t.Errorf("%d are of no run", n)
	}
	if c, err = announce(ctx, l, local, 8); err != nil { // in the place of a stranger
		t.Fatal(err)
	}
	send(stamp.Stamp{Run: 8}, stamp.Stamp{Run: 8, Sequence: 1})
	if got, err = c.End(ctx, []uint64{2}); err != nil || got.Received != 2 || got.Lost != 0 || !got.Balanced {
		t.Errorf("%+v, %v", got, err)
	}
	r := conclusion(sink, control)
	if r.Totals.Packets != sent || r.Totals.Received+r.Totals.Late+r.Totals.Corrupt+r.Totals.Foreign != sent || len(r.Drops) > 0 {
		t.Errorf("%+v, %v", r.Totals, r.Drops)
	}
	for _, one := range r.Runs {
		if !one.Balanced {
			t.Errorf("%+v", one)
		}
	}
}
