// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// relayCount is how many datagrams the relay gets: WSKXDP_RELAY=1000000 for the real thing.
func relayCount(t *testing.T) int {
	text := os.Getenv("WSKXDP_RELAY")
	if text == "" {
		return 4_500
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 4_500 {
		t.Fatalf("WSKXDP_RELAY=%s", text)
	}
	return n
}

// stamped are datagrams as blast makes them.
func stamped(t *testing.T, n, size int, run uint16) [][]byte {
	t.Helper()
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	transport := wsktest.New()
	c, err := client.Open(transport, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	socket, err := c.Socket(t.Context(), wsk.AF_INET, nil, nil)
	if err == nil {
		err = client.Bind(t.Context(), socket, netip.MustParseAddrPort("0.0.0.0:0"))
	}
	if err != nil {
		t.Fatal(err)
	}
	payload := payloadOf(size)
	to := wsk.NewSockaddr(netip.MustParseAddrPort("10.0.0.2:9000"))
	d := blast.Datagrams{Flows: []blast.Flow{{Socket: socket, Remote: to}}, Payload: payload, Run: run, Clock: clock}
	out := make([][]byte, 0, n)
	sender := blast.NewMixSender(d, 64)
	for done := 0; done < n; done += 2000 { // the transport keeps what it is given
		config := blast.Config{Count: uint64(min(2000, n-done)), Batch: 64, InFlight: 8, Drain: time.Minute}
		if _, err := blast.Run(t.Context(), config, sender); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range transport.Datagrams() {
		out = append(out, got.Payload)
	}
	if len(out) != n {
		t.Fatalf("%d datagrams, want %d", len(out), n)
	}
	return out
}

func payloadOf(size int) []byte {
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	return payload
}

// The relay's script, of n datagrams with a window of w: it loses 7, doubles 5, moves 11 back by 3 places, delays 2 past the
// window and changes 3 behind the stamp; where there is nothing behind it, none.
func script(in [][]byte, w int) (out [][]byte, want peer.Report) {
	n := len(in)
	lost, doubled, moved, changed, delayed := spread(n, 7, 1), spread(n, 5, 2), spread(n, 11, 3), map[int]bool{}, map[int]bool{100: true, 200: true}
	if len(in[0]) > stamp.Size {
		changed = spread(n, 3, 4)
	}
	held := map[int][]byte{} // by the position behind which it goes
	for i, b := range in {
		switch {
		case lost[i]:
		case delayed[i]:
			held[i+w+1] = b
		case moved[i]:
			held[i+3] = b
		case changed[i]:
			c := append([]byte(nil), b...)
			c[len(c)-1]++
			out = append(out, c)
		case doubled[i]:
			out = append(out, b, b)
		default:
			out = append(out, b)
		}
		if b := held[i]; b != nil {
			out = append(out, b)
		}
	}
	want = peer.Report{
		Received: uint64(n - 7 - 2 - len(changed)), Lost: uint64(7 + len(changed)), Duplicate: 5, Reordered: 11, Extent: 3, Late: 2,
		Corrupt: uint64(len(changed)), Balanced: true,
	}
	return out, want
}

// spread are k positions of n, none near another's of whatever kind, the beginning and the end left out.
func spread(n, k, kind int) map[int]bool {
	out := map[int]bool{}
	for i := range k {
		out[1000+i*(n-3000)/k+kind*10] = true
	}
	return out
}

// A path that loses, doubles, reorders, delays and changes datagrams by a script is reported exactly: in each engine, over
// both versions of IP, with the smallest frames and with the largest.
func TestRelay(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	for _, engine := range []string{"udp", "wsk"} {
		for _, c := range []struct {
			name string
			is4  bool
			size int
		}{{"IPv4 64", true, 18}, {"IPv4 1518", true, 1472}, {"IPv6 84", false, 18}, {"IPv6 1518", false, 1452}} {
			t.Run(engine+" "+c.name, func(t *testing.T) { relay(t, engine, c.is4, c.size) })
		}
	}
}

func relay(t *testing.T, engine string, is4 bool, size int) {
	if engine == "wsk" {
		testenv.Require(t, testenv.NetNS|testenv.XDPProgram)
	}
	l := testenv.NewLabT(t, testenv.Topology{})
	ctx := testenv.Context(t, 3*time.Minute)
	host := l.B.IPv6()
	if is4 {
		host = l.B.IPv4()
	}
	local := netip.AddrPortFrom(host, 9000)
	const window, run = 1024, 0xbeef
	sink, err := NewSink(window, VerifyPayload)
	if err != nil {
		t.Fatal(err)
	}
	e := openEngine(t, ctx, engine, l, local, sink)
	control, err := Listen(netns.Borrow(l.B.NS.FD()), local, sink, e, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	n := relayCount(t)
	out, want := script(stamped(t, n, size, run), window)
	them, err := peer.Dial(ctx, netns.Borrow(l.A.NS.FD()), local, peer.Hello{
		Version: "test", Run: run, Clock: stamp.Identity(), Payload: payloadOf(size)[stamp.Size:], Smallest: size, Largest: size,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !them.Welcome.ClockShared || them.Welcome.Engine != engine {
		t.Errorf("%+v", them.Welcome)
	}
	conn := dialUDP(t, l, local)
	const foreign = 4
	for i := range foreign {
		write(t, conn, binary.BigEndian.AppendUint64(nil, uint64(i)))
	}
	for i, b := range out {
		write(t, conn, b)
		if i%64 == 0 || i == len(out)-1 { // no more under way than any buffer holds
			sent := uint64(foreign + i + 1)
			if err := testenv.Poll(ctx, "what was sent", func() (bool, error) { return sink.Totals().Packets+128 > sent, nil }); err != nil {
				t.Fatalf("%v: %d of %d, drops %v", err, sink.Totals().Packets, sent, e.Drops())
			}
		}
	}
	got, err := them.End(ctx, []uint64{uint64(n)})
	if err != nil {
		t.Fatal(err)
	}
	if got.Delay == nil || got.Delay.Count != int64(want.Received) || got.Receiving <= 0 || got.Engine != engine {
		t.Errorf("%+v, %+v", got, got.Delay)
	}
	want.Foreign = foreign
	if is := (peer.Report{
		Received: got.Received, Lost: got.Lost, Duplicate: got.Duplicate, Reordered: got.Reordered, Extent: got.Extent, Late: got.Late,
		Corrupt: got.Corrupt, Foreign: got.Foreign, Balanced: got.Balanced,
	}); fmt.Sprint(is) != fmt.Sprint(want) || len(got.Drops) > 0 {
		t.Errorf("reported %+v\nwant %+v\ndrops %v", is, want, got.Drops)
	}
}

func openEngine(t *testing.T, ctx context.Context, engine string, l *testenv.Lab, local netip.AddrPort, sink *Sink) (e Engine) {
	t.Helper()
	var err error
	if engine == "wsk" {
		e, err = OpenWSK(ctx, l.B.NS.FD(), []string{l.B.If.Name()}, local, sink, slog.New(slog.DiscardHandler))
	} else {
		e, err = OpenUDP(netns.Borrow(l.B.NS.FD()), local, sink)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// dialUDP is a plain socket at end A.
func dialUDP(t *testing.T, l *testenv.Lab, to netip.AddrPort) (conn *net.UDPConn) {
	t.Helper()
	err := l.A.NS.Do(func() (err error) {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func write(t *testing.T, conn *net.UDPConn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}
