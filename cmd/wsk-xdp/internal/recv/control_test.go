// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/account"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// receiver is an engine udp in a laboratory with its control.
func receiver(t *testing.T, window int) (*testenv.Lab, netip.AddrPort, *Sink, *Control) {
	t.Helper()
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{})
	local := netip.AddrPortFrom(l.B.IPv4(), 9000)
	sink, err := NewSink(window, VerifyPayload)
	if err != nil {
		t.Fatal(err)
	}
	e := openEngine(t, t.Context(), "udp", l, local, sink)
	control, err := Listen(netns.Borrow(l.B.NS.FD()), local, sink, e, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := control.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, local, sink, control
}

func announce(ctx context.Context, l *testenv.Lab, to netip.AddrPort, run uint16) (*peer.Client, error) {
	return peer.Dial(ctx, netns.Borrow(l.A.NS.FD()), to, peer.Hello{Run: run, Payload: []byte{}, Smallest: stamp.Size, Largest: stamp.Size})
}

// Runs at once are counted apart, there are no more of them than can be, and each place is given back.
func TestManyRuns(t *testing.T) {
	l, to, sink, control := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	conn := dialUDP(t, l, to)
	var clients []*peer.Client
	for run := range MaxRuns {
		c, err := announce(ctx, l, to, uint16(run))
		if err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		clients = append(clients, c)
	}
	if _, err := announce(ctx, l, to, MaxRuns); err == nil || !strings.Contains(err.Error(), "as many as it serves") {
		t.Errorf("one too many is told: %v", err)
	}
	if _, err := announce(ctx, l, to, 1000); err == nil {
		t.Error("one run too many is taken")
	}
	b := make([]byte, stamp.Size)
	for n := range uint64(3) {
		for run := range MaxRuns {
			stamp.Stamp{Run: uint16(run), Sequence: n * uint64(run%2)}.Put(b) // even runs send the same number again
			write(t, conn, b)
		}
	}
	stamp.Stamp{Run: 2000}.Put(b) // nobody's, and no room for it
	write(t, conn, b)
	if err := testenv.Poll(ctx, "every datagram", func() (bool, error) { return sink.Totals().Packets == 3*MaxRuns+1, nil }); err != nil {
		t.Fatal(err)
	}
	for run, c := range clients {
		got, err := c.End(ctx, []uint64{4})
		if err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		want := peer.Report{Received: 1, Duplicate: 2, Lost: 3}
		if run%2 == 1 {
			want = peer.Report{Received: 3, Lost: 1}
		}
		if got.Received != want.Received || got.Duplicate != want.Duplicate || got.Lost != want.Lost || !got.Balanced || got.Foreign != 1 {
			t.Errorf("run %d: %+v, want %+v", run, got, want)
		}
	}
	if err := testenv.Poll(ctx, "idle", func() (bool, error) { return control.Idle(), nil }); err != nil {
		t.Fatal(err)
	}
	c, err := announce(ctx, l, to, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := announce(ctx, l, to, 1); err == nil || !strings.Contains(err.Error(), "another run has this number") {
		t.Errorf("the same run again: %v", err)
	}
	c.Close()
	if err := testenv.Poll(ctx, "the end of a run whose sender is gone", func() (bool, error) {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return !sink.runs[1].served, nil
	}); err != nil {
		t.Fatal(err)
	}
	if !sink.over(time.Now()) {
		t.Error("a run of which nothing came goes on")
	}
	if sink.budget.Bytes != WindowBytes || len(sink.ended) != MaxRuns {
		t.Errorf("%d bytes of windows are free, %d runs are kept", sink.budget.Bytes, len(sink.ended))
	}
}

// Who connects and talks nonsense is told so, and gets nothing else.
func TestHostileControl(t *testing.T) {
	l, to, sink, control := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	for _, words := range []string{
		"\n", "GET / HTTP/1.1\r\n\r\n", "{}\n", `{"end":{"sent":[1]}}` + "\n", `{"hello":{"protocol":99}}` + "\n", strings.Repeat("x", 300<<10),
		`{"hello":{"protocol":1,"smallest_bytes":-5}}` + "\n",
	} {
		var c net.Conn
		err := l.A.NS.Do(func() (err error) {
			c, err = net.Dial("tcp", to.String())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(words)) // the other side may be gone by then
		m, err := peer.NewConn(c).Read(time.Now().Add(30 * time.Second))
		if err == nil && m.Refused == "" {
			t.Errorf("%.40q is answered with %+v", words, m)
		}
		c.Close()
	}
	if err := testenv.Poll(ctx, "idle", func() (bool, error) { return control.Idle(), nil }); err != nil {
		t.Fatal(err)
	}
	if len(sink.runs)+len(sink.ended) != 0 {
		t.Error("a run has begun")
	}
}

// Without a peer a run begins with its first datagram, and what is lost of it is lost up to the highest number.
func TestRunWithoutPeer(t *testing.T) {
	l, to, sink, _ := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	conn := dialUDP(t, l, to)
	b := make([]byte, stamp.Size)
	for _, n := range []uint64{0, 1, 4, 3, 3} {
		stamp.Stamp{Run: 5, Sequence: n}.Put(b)
		write(t, conn, b)
	}
	write(t, conn, []byte("hello"))
	if err := testenv.Poll(ctx, "every datagram", func() (bool, error) { return sink.Totals().Packets == 6, nil }); err != nil {
		t.Fatal(err)
	}
	if c := sink.Counts(); c.Received != 4 || c.Lost != 1 || c.Duplicate != 1 || c.Reordered != 1 || sink.Totals().Foreign != 1 || !c.Balanced() {
		t.Errorf("%+v, %+v", c, sink.Totals())
	}
	now := time.Now()
	if sink.over(now) || !sink.over(now.Add(stillness)) || sink.awaits(now) {
		t.Error("a run whose datagrams have just come is over, or one of which none comes goes on")
	}
}

// Runs that anybody begins by a datagram take neither places nor memory from one that is announced.
func TestAnnouncedRunsGoFirst(t *testing.T) {
	l, to, sink, _ := receiver(t, 64)
	ctx := testenv.Context(t, time.Minute)
	conn := dialUDP(t, l, to)
	b := make([]byte, stamp.Size)
	sent := uint64(0)
	send := func(s stamp.Stamp) {
		s.Put(b)
		write(t, conn, b)
		if sent++; sent%64 != 0 {
			return
		}
		if err := testenv.Poll(ctx, "every datagram", func() (bool, error) { return sink.Totals().Packets == sent, nil }); err != nil {
			t.Fatal(err)
		}
	}
	sink.mu.Lock()
	sink.budget.Bytes = 0
	for range MaxRuns {
		sink.budget.Bytes += account.Bytes(64)
	}
	sink.mu.Unlock()
	for run := range uint16(MaxRuns) {
		send(stamp.Stamp{Run: 100 + run})
	}
	c, err := announce(ctx, l, to, 7)
	if err != nil {
		t.Fatal(err)
	}
	for stream := range uint16(MaxRuns) {
		send(stamp.Stamp{Run: 7, Stream: stream})
	}
	got, err := c.End(ctx, nil)
	if err != nil || got.Received != MaxRuns || got.Refused != 0 || !got.Balanced {
		t.Errorf("%+v, %v", got, err)
	}
}
