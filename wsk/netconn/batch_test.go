// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

func udp(s string) *net.UDPAddr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func message(to net.Addr, parts ...string) netconn.Message {
	m := netconn.Message{Addr: to}
	for _, p := range parts {
		m.Buffers = append(m.Buffers, []byte(p))
	}
	return m
}

// Messages go out in their order, each to its own destination and with its own control messages.
func TestWriteBatch(t *testing.T) {
	transport, npi := silent(t)
	c := listen(t, npi, "0.0.0.0:0", netconn.Options{})
	one, two := udp("192.0.2.1:9"), udp("192.0.2.2:9")
	same := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9} // in 16 bytes
	ttl := []byte{20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0}
	ms := []netconn.Message{
		message(one, "a", "bc"), message(same, "d"), message(one),
		message(two, "e"),
		message(one, "f"),
		message(one, "g"), message(one, "h", "", "i"),
	}
	ms[5].OOB, ms[6].OOB = ttl, slices.Clone(ttl)
	n, err := c.WriteBatch(ms, 0)
	if n != len(ms) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if sends := transport.Counts().Sends; sends != len(ms) {
		t.Errorf("%d sends", sends)
	}
	var got []string
	for _, d := range transport.Datagrams() {
		got = append(got, fmt.Sprintf("%s %v %d", d.Payload, d.To.IP(), d.To.TTL))
	}
	want := []string{
		"abc 192.0.2.1 128", "d 192.0.2.1 128", " 192.0.2.1 128", "e 192.0.2.2 128", "f 192.0.2.1 128",
		"g 192.0.2.1 7", "hi 192.0.2.1 7",
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	for i, n := range []int{3, 1, 0, 1, 1, 1, 2} {
		if ms[i].N != n || ms[i].NN != len(ms[i].OOB) {
			t.Errorf("message %d: N %d, NN %d", i, ms[i].N, ms[i].NN)
		}
	}
	if n, err := c.WriteBatch(nil, 0); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
	if _, err := c.WriteBatch(ms, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("flags: %v", err)
	}
}

// A batch counts up to the first message that was not sent, and says which ones behind it were sent.
func TestWriteBatchFailures(t *testing.T) {
	t.Run("manners", func(t *testing.T) { testWriteBatchFailures(t, netconn.Options{}) })
	t.Run("strict", func(t *testing.T) { testWriteBatchFailures(t, netconn.Options{Strict: true}) })
}

func testWriteBatchFailures(t *testing.T, opts netconn.Options) {
	transport, npi := silent(t)
	c := listen(t, npi, "0.0.0.0:0", opts)
	good, other := udp("192.0.2.1:9"), udp("192.0.2.2:9")
	for name, tc := range map[string]struct {
		ms   []netconn.Message
		want error
		sent []int // N
	}{
		"first":     {[]netconn.Message{message(&net.UDPAddr{IP: good.IP, Port: 70000}, "x"), message(good, "yy")}, nil, []int{0, 0}},
		"nowhere":   {[]netconn.Message{message(good, "x"), message(nil, "yy")}, nil, []int{1, 0}},
		"wrong":     {[]netconn.Message{message(good, "x"), message(&net.TCPAddr{}, "yy"), message(good, "z")}, syscall.EINVAL, []int{1, 0, 0}},
		"too long":  {[]netconn.Message{message(good, "x"), message(other, string(make([]byte, 65508))), message(good, "z")}, syscall.EMSGSIZE, []int{1, 0, 1}},
		"among":     {[]netconn.Message{message(good, "x"), message(good, string(make([]byte, 65508))), message(good, "z")}, syscall.EMSGSIZE, []int{1, 0, 1}},
		"oob":       {[]netconn.Message{message(good, "x"), {Buffers: [][]byte{{1}}, Addr: good, OOB: make([]byte, 16)}}, syscall.EINVAL, []int{1, 0}},
		"typed nil": {[]netconn.Message{message((*net.UDPAddr)(nil), "x")}, nil, []int{0}},
	} {
		for i := range tc.ms {
			tc.ms[i].N, tc.ms[i].NN = 99, 99
		}
		n, err := c.WriteBatch(tc.ms, 0)
		var op *net.OpError
		if n != slices.Index(tc.sent, 0) || !errors.As(err, &op) || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		for i, m := range tc.ms {
			if m.N != tc.sent[i] {
				t.Errorf("%s: message %d: N %d", name, i, m.N)
			}
		}
	}
	c.SetWriteDeadline(time.Unix(1, 0))
	if n, err := c.WriteBatch([]netconn.Message{message(good, "x")}, 0); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %d, %v", n, err)
	}
	c.SetWriteDeadline(time.Time{})
	// A deadline takes back all messages that still wait.
	transport.SetMode(wsktest.Wait)
	ms := []netconn.Message{message(good, "x"), message(other, "y")}
	done := writing(t, transport, func() (int, error) { return c.WriteBatch(ms, 0) })
	eventually(t, "both messages", func() bool { return transport.Counts().Pending == 2 })
	c.SetWriteDeadline(time.Now())
	r := wait(t, done)
	if opts.Strict && (r.n != 0 || !errors.Is(r.err, os.ErrDeadlineExceeded) || ms[0].N != 0) || !opts.Strict && (r.n != 2 || r.err != nil) {
		t.Errorf("deadline: %d, %v", r.n, r.err)
	}
	c.Close()
	if n, err := c.WriteBatch(ms, 0); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %d, %v", n, err)
	}
}

// A batch of any length leaves in its order, also when it ends in the middle; what is behind that was not sent.
func TestWriteBatchLong(t *testing.T) {
	for _, bad := range []int{-1, 0, 63, 64, 65, 127, 128, 200, 299} {
		transport, npi := silent(t)
		c := listen(t, npi, "0.0.0.0:0", netconn.Options{})
		ms := make([]netconn.Message, 300)
		for i := range ms {
			ms[i] = message(udp(fmt.Sprintf("192.0.2.%d:9", 1+i%7)), fmt.Sprint(i))
		}
		want := len(ms)
		if bad >= 0 {
			want, ms[bad].Addr = bad, &net.TCPAddr{}
		}
		n, err := c.WriteBatch(ms, 0)
		if n != want || (err == nil) != (bad < 0) {
			t.Errorf("bad %d: %d, %v", bad, n, err)
		}
		got := transport.Datagrams()
		if len(got) != want {
			t.Fatalf("bad %d: %d have left", bad, len(got))
		}
		for i, d := range got {
			if string(d.Payload) != fmt.Sprint(i) || ms[i].N != len(d.Payload) {
				t.Errorf("bad %d: datagram %d is %q, N %d", bad, i, d.Payload, ms[i].N)
			}
		}
		for i := want; i < len(ms); i++ {
			if ms[i].N != 0 {
				t.Errorf("bad %d: N of %d is %d", bad, i, ms[i].N)
			}
		}
	}
}

// ReadBatch waits for one datagram and takes those behind it, scattered, cut off and with control messages.
func TestReadBatch(t *testing.T) {
	transport, npi := fake(t)
	c := listen(t, npi, "127.0.0.1:0", netconn.Options{Control: netconn.ControlTTL})
	c.SetDeadline(time.Now().Add(waitLimit))
	at := netip.MustParseAddrPort(c.LocalAddr().String())
	arrival := func(n int) wsktest.Arrival {
		return wsktest.Arrival{From: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(1000+n)), To: at, Payload: pctest.Pattern(n), TTL: 9}
	}
	ms := make([]netconn.Message, 4)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, 3), nil, make([]byte, 5)}
		ms[i].OOB = make([]byte, 64)
	}
	check := func(n int, err error, sizes ...int) {
		t.Helper()
		if n != len(sizes) || err != nil {
			t.Fatalf("%d messages, %v, want %d", n, err, len(sizes))
		}
		for i, size := range sizes {
			m := &ms[i]
			want, flags := min(size, 8), 0
			if size > 8 {
				flags = 0x20
			}
			got := bytes.Join(m.Buffers, nil)[:m.N]
			if m.N != want || m.Flags != flags || m.NN == 0 || m.Addr.(*net.UDPAddr).Port != 1000+size || !bytes.Equal(got, pctest.Pattern(size)[:want]) {
				t.Errorf("message %d: %+v, want %d bytes", i, m, want)
			}
		}
	}
	transport.Arrive(arrival(1), arrival(8), arrival(9), arrival(0), arrival(5), arrival(6))
	n, err := c.ReadBatch(ms, 0)
	check(n, err, 1, 8, 9, 0)
	n, err = c.ReadBatch(ms, 0x10000|0x40)
	check(n, err, 5, 6)

	done := make(chan result, 1)
	go func() {
		n, err := c.ReadBatch(ms, 0)
		done <- result{n, err}
	}()
	stays(t, "a batch with nothing to read", done)
	transport.Arrive(arrival(2))
	r := wait(t, done)
	check(r.n, r.err, 2)

	if n, err := c.ReadBatch(nil, 0); n != 0 || err != nil {
		t.Errorf("no room: %d, %v", n, err)
	}
	if _, err := c.ReadBatch(ms, 2); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("MSG_PEEK: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := c.ReadBatch(ms, 0); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %d, %v", n, err)
	}
}

// Without an address a batch goes to the fixed remote; with one it is refused.
func TestBatchConnected(t *testing.T) {
	transport, npi := silent(t)
	transport.SetLocal(netip.MustParseAddr("192.0.2.200")) // has a route
	c, err := netconn.Dial(npi, "udp", netip.AddrPort{}, somewhere, netconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.WriteBatch([]netconn.Message{message(nil, "x"), message(nil, "y")}, 0); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := c.WriteBatch([]netconn.Message{message(udp("192.0.2.1:9"), "x")}, 0); n != 0 || !errors.Is(err, net.ErrWriteToConnected) {
		t.Errorf("%d, %v", n, err)
	}
	if len(transport.Datagrams()) != 2 {
		t.Errorf("%d datagrams", len(transport.Datagrams()))
	}
}

// A batch that looks for more datagrams takes its last receive back, and must not lose a datagram with it.
func TestReadBatchLosesNothing(t *testing.T) {
	transport, npi := fake(t)
	c := listen(t, npi, "127.0.0.1:0", netconn.Options{ReadBuffer: 1 << 24})
	c.SetDeadline(time.Now().Add(waitLimit))
	at := netip.MustParseAddrPort(c.LocalAddr().String())
	const total = 20000
	go func() {
		for i := range total {
			transport.Arrive(wsktest.Arrival{From: somewhere, To: at, Payload: []byte{byte(i), byte(i >> 8)}})
		}
	}()
	ms := make([]netconn.Message, 7)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, 2)}
	}
	for next := 0; next < total; {
		n, err := c.ReadBatch(ms, 0)
		if err != nil {
			t.Fatalf("after %d: %v", next, err)
		}
		for _, m := range ms[:n] {
			if got := int(m.Buffers[0][0]) | int(m.Buffers[0][1])<<8; m.N != 2 || got != next&0xffff {
				t.Fatalf("datagram %d, want %d", got, next)
			}
			next++
		}
	}
}
