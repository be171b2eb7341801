// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func hello() Hello {
	return Hello{Protocol: Protocol, Version: "1", Run: 7, Clock: "c", Payload: []byte("abc"), Smallest: 18, Largest: 21}
}

func line(t testing.TB, m Message) []byte {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseRefuses(t *testing.T) {
	change := func(f func(*Hello)) []byte {
		h := hello()
		f(&h)
		return line(t, Message{Hello: &h})
	}
	if _, err := Parse(change(func(*Hello) {})); err != nil {
		t.Error(err)
	}
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"no JSON":          []byte("GET / HTTP/1.1"),
		"two messages":     []byte(`{"refused":"a"} {"refused":"b"}`),
		"another protocol": change(func(h *Hello) { h.Protocol++ }),
		"no room":          change(func(h *Hello) { h.Smallest = 17 }),
		"a shorter one":    change(func(h *Hello) { h.Largest = 17 }),
		"too long":         change(func(h *Hello) { h.Largest, h.Payload = 65528, make([]byte, 65510) }),
		"another payload":  change(func(h *Hello) { h.Payload = h.Payload[1:] }),
		"a long clock":     change(func(h *Hello) { h.Clock = strings.Repeat("x", 129) }),
		"many streams":     line(t, Message{End: &End{Sent: make([]uint64, 1025)}}),
		"many numbers":     line(t, Message{End: &End{Sent: []uint64{1<<62 + 1}}}),
		"an escape":        line(t, Message{Welcome: &Welcome{Version: "\x1b[2J"}}),
		"an odd cause":     line(t, Message{Report: &Report{Drops: map[string]uint64{"\n": 1}}}),
		"a negative":       []byte(`{"end":{"sent":[-1]}}`),
	} {
		if m, err := Parse(b); err == nil {
			t.Errorf("%s is taken as %+v", name, m)
		}
	}
}

// A refusal may say what it likes, and moves no cursor.
func TestRefusalIsPrintable(t *testing.T) {
	if m, err := Parse(line(t, Message{Refused: "a\x1b[2Jb\nc"})); err != nil || m.Refused != "a?[2Jb?c" {
		t.Errorf("%q, %v", m.Refused, err)
	}
}

// pipe serves one connection with f and dials it.
func pipe(t *testing.T, f func(*Conn)) (*Client, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		f(NewConn(c))
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return Dial(t.Context(), nil, netip.MustParseAddrPort(l.Addr().String()), hello())
}

func TestClient(t *testing.T) {
	client, err := pipe(t, func(c *Conn) {
		m, err := c.Read(time.Time{})
		if err != nil || m.Hello == nil || m.Hello.Run != 7 || string(m.Hello.Payload) != "abc" {
			t.Errorf("%+v, %v", m, err)
		}
		_ = c.Write(Message{Welcome: &Welcome{Version: "2", Engine: "udp"}})
		_ = c.Write(Message{Interval: &Interval{Elapsed: 1, Received: 5}})
		m, err = c.Read(time.Time{})
		if err != nil || m.End == nil || !slices.Equal(m.End.Sent, []uint64{4, 6}) {
			t.Errorf("%+v, %v", m, err)
		}
		_ = c.Write(Message{Report: &Report{Received: 10}})
	})
	if err != nil || client.Welcome.Version != "2" {
		t.Fatal(client, err)
	}
	r, err := client.End(t.Context(), []uint64{4, 6})
	if err != nil || r.Received != 10 || len(r.Intervals) != 1 || client.Latest().Received != 5 {
		t.Errorf("%+v, %v, %+v", r, err, client.Latest())
	}
}

// Whatever answers instead of a receiver is told by what it is, and keeps nobody waiting.
func TestClientOfSomethingElse(t *testing.T) {
	for want, f := range map[string]func(*Conn){
		"the receiver at": func(c *Conn) {
			_, _ = c.Read(time.Time{})
			_ = c.Write(Message{Refused: "no room"})
		},
		"no message of wsk-xdp": func(c *Conn) {
			_, _ = c.Read(time.Time{})
			_, _ = c.c.Write([]byte("SSH-2.0-OpenSSH\n"))
		},
		"is no wsk-xdp recv": func(c *Conn) { _, _ = c.Read(time.Time{}) },
		"too long": func(c *Conn) {
			_, _ = c.Read(time.Time{})
			for range 5 {
				_, _ = c.c.Write(bytes.Repeat([]byte("x"), MaxLine/4))
			}
		},
	} {
		if client, err := pipe(t, f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v, %v; want %q", client, err, want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	if _, err := Dial(t.Context(), nil, closed, hello()); err == nil || !strings.Contains(err.Error(), "start wsk-xdp recv") {
		t.Error(err)
	}
}

// A receiver that dies in the middle costs its report only, and one that says nothing more does not outlive the sender.
func TestPeerDies(t *testing.T) {
	welcome := func(c *Conn) {
		_, _ = c.Read(time.Time{})
		_ = c.Write(Message{Welcome: &Welcome{}})
	}
	client, err := pipe(t, welcome)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := client.End(t.Context(), nil); err == nil || r != nil {
		t.Errorf("%+v, %v", r, err)
	}
	client, err = pipe(t, func(c *Conn) {
		welcome(c)
		_, _ = io.Copy(io.Discard, c.c)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := client.End(ctx, nil); err == nil || r != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzParse(f *testing.F) {
	h := hello()
	for _, m := range []Message{
		{Hello: &h}, {Welcome: &Welcome{Version: "1", Engine: "udp"}}, {Refused: "no"}, {Interval: &Interval{}}, {End: &End{Sent: []uint64{1}}},
		{Report: &Report{Drops: map[string]uint64{"rx_ring_full": 2}, Delay: &Delay{}, Intervals: []Interval{{}}}},
	} {
		f.Add(line(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(line(t, m))
		if err != nil || !bytes.Equal(line(t, again), line(t, m)) {
			t.Errorf("%q becomes %q, %v", b, line(t, m), err)
		}
	})
}
