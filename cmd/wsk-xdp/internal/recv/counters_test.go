// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// What comes with a wrong checksum is dropped for that, short or long, and not because a buffer is full; what there is no room for is told apart.
func TestWrongChecksumsAreNamed(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{})
	for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
		local := netip.AddrPortFrom(host, 9000)
		sink, err := NewSink(64, VerifyNothing)
		if err != nil {
			t.Fatal(err)
		}
		e := openEngine(t, t.Context(), "udp", l, local, sink)
		conn := dialUDP(t, l, local)
		sendWrong(t, l, local, 20, 3)
		sendWrong(t, l, local, 200, 4)
		write(t, conn, []byte("behind them"))
		want := map[string]uint64{peer.BadChecksum: 7}
		told := func() (bool, error) { return sink.Totals().Packets == 1 && maps.Equal(e.Drops(), want), nil }
		if err := testenv.Poll(testenv.Context(t, time.Minute), "what is dropped", told); err != nil {
			t.Fatalf("%v: %v, want %v: %v", host, e.Drops(), want, err)
		}
		u := e.(*udpEngine)
		narrow(t, u)
		const sent = 1000
		u.turn.Lock() // nobody reads
		for range sent {
			write(t, conn, []byte("more than there is room for"))
		}
		u.turn.Unlock()
		sendWrong(t, l, local, 20, 2)
		told = func() (bool, error) {
			u.CatchUp()
			got := e.Drops()
			return got[peer.BadChecksum] == 9 && got[BufferFull] > 0 && got[BufferFull]+sink.Totals().Packets == sent+1 && len(got) == 2, nil
		}
		if err := testenv.Poll(testenv.Context(t, time.Minute), "what there is no room for", told); err != nil {
			t.Errorf("%v: %v and %d read, of %d: %v", host, e.Drops(), sink.Totals().Packets, sent+1, err)
		}
	}
}

// sendWrong sends datagrams whose checksum is not that of what is in them.
func sendWrong(t *testing.T, l *testenv.Lab, to netip.AddrPort, payload, n int) {
	t.Helper()
	var family int
	var where unix.Sockaddr
	if a := to.Addr(); a.Is4() {
		family, where = unix.AF_INET, &unix.SockaddrInet4{Addr: a.As4()}
	} else {
		family, where = unix.AF_INET6, &unix.SockaddrInet6{Addr: a.As16()}
	}
	fd, err := l.A.NS.Socket(family, unix.SOCK_RAW, unix.IPPROTO_UDP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if family == unix.AF_INET6 { // or the kernel writes the right one
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_CHECKSUM, -1); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 8+payload)
	for i, word := range []int{4567, int(to.Port()), len(b), 0x1234} {
		binary.BigEndian.PutUint16(b[2*i:], uint16(word))
	}
	for range n {
		if err := unix.Sendto(fd, b, 0, where); err != nil {
			t.Fatal(err)
		}
	}
}

// What the kernel counts for all sockets of a network namespace is told, and contradicts no verdict: it may be others'.
func TestWrongChecksumsOfOthers(t *testing.T) {
	for engine, want := range map[string]Verdict{
		"udp": {"ok", true, "every number was received; to this network namespace 3 came with a wrong checksum"},
		"xdp": {"drops", false, "3 dropped here: bad checksum"},
	} {
		r := Report{Config: Config{Engine: engine}, Totals: TotalsReport{Packets: 5, Received: 5}, Drops: map[string]uint64{peer.BadChecksum: 3}}
		if r.conclude(nil); r.Verdict != want {
			t.Errorf("%s: %+v, want %+v", engine, r.Verdict, want)
		}
	}
}

// The counters of both versions of IP are read from text as the kernel writes it, and what is none of it is passed over.
func TestUDPCounters(t *testing.T) {
	var d udpDrops
	d.add([]byte("Ip: Forwarding\nIp: 1\nUdp: InDatagrams InErrors RcvbufErrors InCsumErrors MemErrors\nUdp: 10 9 4 3 2\nUdpLite: InCsumErrors\nUdpLite: 8\n"))
	d.add([]byte("Ip6InReceives \t 5\nUdp6InCsumErrors   \t10\nUdp6RcvbufErrors \t 20\nUdp6MemErrors 30\nUdpLite6InCsumErrors 8\nUdp6 x\n\n"))
	if d != (udpDrops{13, 56}) {
		t.Errorf("%+v", d)
	}
	if c := (&udpCounters{}); c.since() != (udpDrops{}) {
		t.Error("what can't be read counts")
	}
}
