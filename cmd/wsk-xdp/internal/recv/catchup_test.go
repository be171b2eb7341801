// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// starved is an engine udp in a laboratory whose reader gets no processor until the test ends.
func starved(t *testing.T, sink *Sink) (*testenv.Lab, netip.AddrPort, *udpEngine) {
	t.Helper()
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	local := netip.AddrPortFrom(l.B.IPv4(), 9000)
	e, err := bindUDP(netns.Borrow(l.B.NS.FD()), local, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if e.conn.SetDeadline(time.Time{}) != nil {
			return // the test has closed it
		}
		go e.read()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, local, e
}

// sendNumbers sends so many numbers of run 7, and returns when the socket has got them, or dropped them: on a busy machine the kernel may do
// so a while after they were sent.
func sendNumbers(t *testing.T, l *testenv.Lab, to netip.AddrPort, n int) {
	t.Helper()
	conn, b, before := dialUDP(t, l, to), make([]byte, stamp.Size), delivered(t, l)
	for i := range n {
		stamp.Stamp{Run: 7, Sequence: uint64(i)}.Put(b)
		write(t, conn, b)
	}
	arrived := func() (bool, error) { return delivered(t, l) >= before+uint64(n), nil }
	if err := testenv.Poll(testenv.Context(t, time.Minute), "the last datagram", arrived); err != nil {
		t.Fatal(err)
	}
}

// delivered is how many packets IPv4 has handed to protocols at the receiver's end.
func delivered(t *testing.T, l *testenv.Lab) uint64 {
	t.Helper()
	var text []byte
	err := l.B.NS.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "Ip:" {
			continue
		}
		for i, name := range names {
			if name == "InDelivers" && i < len(words) {
				n, err := strconv.ParseUint(words[i], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		names = words
	}
	t.Fatal("the kernel does not say how many packets it has delivered")
	return 0
}

// What waits at the socket is not lost, however long it has waited there: a receiver that had no processor for longer than it waits for
// stragglers reads before it reports.
func TestReportOfAStarvedReceiver(t *testing.T) {
	sink, err := NewSink(1024, VerifyPayload)
	if err != nil {
		t.Fatal(err)
	}
	l, to, e := starved(t, sink)
	control, err := Listen(netns.Borrow(l.B.NS.FD()), to, sink, e, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	ctx := testenv.Context(t, time.Minute)
	c, err := announce(ctx, l, to, 7)
	if err != nil {
		t.Fatal(err)
	}
	const sent = 300
	sendNumbers(t, l, to, sent)
	got, err := c.End(ctx, []uint64{sent + 2})
	if err != nil {
		t.Fatal(err)
	}
	if got.Received != sent || got.Lost != 2 || !got.Balanced || len(got.Drops) != 0 {
		t.Errorf("%+v", got)
	}
}

// A report has what waits when it is made, and what there was no room for: both together are what was sent. The socket's count is there when
// the socket is not.
func TestReportHasWhatWaits(t *testing.T) {
	sink, err := NewSink(1024, VerifyPayload)
	if err != nil {
		t.Fatal(err)
	}
	l, to, e := starved(t, sink)
	narrow(t, e)
	const sent = 1000
	sendNumbers(t, l, to, sent)
	var r Report
	r.Fill(sink, e)
	if dropped := r.Drops[BufferFull]; dropped == 0 || r.Totals.Received == 0 || r.Totals.Received+dropped != sent {
		t.Errorf("of %d: %+v, %v", sent, r.Totals, r.Drops)
	}

	sendNumbers(t, l, to, sent)
	again := sink.Totals().Packets
	go e.read()
	if err := e.finish(); err != nil {
		t.Fatal(err)
	}
	if dropped, read := e.Drops()[BufferFull]-r.Drops[BufferFull], sink.Totals().Packets-again; dropped == 0 || read == 0 || dropped+read != sent {
		t.Errorf("of %d more: %d were read and %d dropped", sent, read, dropped)
	}
}

// narrow gives a socket a small buffer.
func narrow(t *testing.T, e *udpEngine) {
	t.Helper()
	err := e.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<10); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
