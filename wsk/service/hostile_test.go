// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// TestViolations: each ends the session that it comes from with its reason, is counted, and touches nobody else.
func TestViolations(t *testing.T) {
	b := newBench(t, generous)
	honest := b.hello()
	honest.open(1, "10.77.0.1:0")
	before := uint64(0)
	broken := func() bool { return violations(b) > before }
	header := func(typ ipc.Type, seq, socket uint32) []byte {
		return ipc.Header{Type: typ, Seq: seq, Socket: socket}.Append(nil)
	}
	opened := func(f func(*client)) func(*client) {
		return func(c *client) {
			c.open(1, "10.77.0.1:0")
			f(c)
		}
	}
	for _, tt := range []struct {
		name   string
		greet  bool // HELLO first
		do     func(*client)
		reason ipc.Reason
	}{
		{"not HELLO first", false, func(c *client) { c.post(ipc.TypeOpen, 1, openRequest("10.77.0.1:0")) }, ipc.ReasonState},
		{"HELLO twice", true, func(c *client) { c.post(ipc.TypeHello, 0, &ipc.Hello{MaxMessage: ipc.MaxMessage}) }, ipc.ReasonState},
		{"half a HELLO", false, func(c *client) {
			m := (&ipc.Hello{MaxMessage: ipc.MaxMessage}).Append(header(ipc.TypeHello, 1, 0))
			c.write(m[:len(m)/2])
		}, ipc.ReasonBounds},
		{"another major", false, func(c *client) {
			m := (&ipc.Hello{MaxMessage: ipc.MaxMessage}).Append(header(ipc.TypeHello, 1, 0))
			binary.LittleEndian.PutUint16(m[ipc.HeaderSize+4:], 2)
			c.write(m)
		}, ipc.ReasonVersion},
		{"a byte", false, func(c *client) { c.write([]byte{1}) }, ipc.ReasonBounds},
		{"too long", true, func(c *client) { c.write(make([]byte, ipc.MaxMessage+1)) }, ipc.ReasonBounds},
		{"no such message", true, func(c *client) { c.write(header(99, 1, 0)) }, ipc.ReasonMessage},
		{"a reply", true, func(c *client) { c.write(header(ipc.TypeClose.Reply(), 1, 1)) }, ipc.ReasonMessage},
		{"a notification", true, func(c *client) { c.write(header(ipc.TypeRecv, 0, 1)) }, ipc.ReasonMessage},
		{"a socket that is not open", true, func(c *client) { c.post(ipc.TypeAbort, 7, nil) }, ipc.ReasonState},
		{"SEND to a socket that is not open", true, func(c *client) {
			c.write(c.sendRequest(7, "x", entry(1, "10.77.0.2:9")))
		}, ipc.ReasonState},
		{"a number twice", true, opened(func(c *client) { c.post(ipc.TypeOpen, 1, openRequest("10.77.0.1:0")) }), ipc.ReasonState},
		{"CLOSE twice", true, opened(func(c *client) {
			b.transport.SetMode(wsktest.Post) // a job holds the socket up
			c.write(c.sendRequest(1, "x", entry(1, "10.77.0.2:9")))
			c.post(ipc.TypeClose, 1, nil)
			c.post(ipc.TypeClose, 1, nil)
			testenv.Eventually(t, patience, "the violation", broken)
			b.transport.SetMode(wsktest.Deliver)
			b.transport.CompleteAll(wsk.STATUS_SUCCESS)
		}), ipc.ReasonState},
		{"65 requests", true, func(c *client) {
			b.transport.DelayBinds(true)
			for i := range uint32(65) {
				c.post(ipc.TypeOpen, i+1, openRequest("10.77.0.1:0"))
			}
			c.ended(ipc.ReasonState)
			b.transport.DelayBinds(false)
		}, ipc.ReasonNone},
		{"a sequence number twice", true, func(c *client) {
			b.transport.DelayBinds(true)
			c.post(ipc.TypeOpen, 1, openRequest("10.77.0.1:0"))
			c.seq--
			c.post(ipc.TypeOpen, 2, openRequest("10.77.0.1:0"))
			c.ended(ipc.ReasonState)
			b.transport.DelayBinds(false)
		}, ipc.ReasonNone},
		{"17 SENDs", true, opened(func(c *client) {
			b.transport.SetMode(wsktest.Post)
			for i := range uint32(ipc.MaxSends + 1) {
				c.write(c.sendRequest(1, "x", entry(i, "10.77.0.2:9")))
			}
			testenv.Eventually(t, patience, "the violation", broken)
			b.transport.SetMode(wsktest.Deliver)
			testenv.Eventually(t, patience, "all to complete", func() bool {
				b.transport.CompleteAll(wsk.STATUS_SUCCESS)
				return b.transport.Counts().Pending == 0
			})
		}), ipc.ReasonState},
		{"65 entries", true, opened(func(c *client) { c.write(binary.LittleEndian.AppendUint64(header(ipc.TypeSend, 90, 1), 65)) }), ipc.ReasonBounds},
		{"a payload that is not there", true, opened(func(c *client) {
			m := c.sendRequest(1, "payload", entry(1, "10.77.0.2:9"))
			binary.LittleEndian.PutUint32(m[ipc.HeaderSize+8+4:], 60000)
			c.write(m)
		}), ipc.ReasonBounds},
		{"an offset", true, opened(func(c *client) {
			m := c.sendRequest(1, "payload", entry(1, "10.77.0.2:9"))
			m[ipc.HeaderSize+8] = 1
			c.write(m)
		}), ipc.ReasonEntry},
		{"too much credit", true, opened(func(c *client) {
			c.credit(1, ipc.MaxCredit)
			c.credit(1, 1)
		}), ipc.ReasonState},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before = violations(b)
			var c *client
			if tt.greet {
				c = b.hello()
			} else {
				c = b.dial()
			}
			c.t = t
			tt.do(c)
			if tt.reason != ipc.ReasonNone {
				c.ended(tt.reason)
			}
			testenv.Eventually(t, patience, "the violation to be counted", func() bool { return violations(b) == before+1 })
			if got := honest.send(1, "x", entry(1, "10.77.0.2:9"))[1]; got.Status != 0 {
				t.Errorf("the honest client: %+v", got)
			}
		})
	}
}

func violations(b *bench) (n uint64) {
	for _, times := range b.server.Statistics().Violations {
		n += times
	}
	return n
}

// TestDescriptors: a client can't send any; where the kernel itself does not refuse them, they end the session.
func TestDescriptors(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	msg := (&ipc.Source{}).Append(ipc.Header{Type: ipc.TypeSource, Seq: 1}.Append(nil))
	before := descriptors(t)
	for range 100 {
		_, _, err := c.conn.WriteMsgUnix(msg, unix.UnixRights(int(os.Stdin.Fd()), int(os.Stdin.Fd())), nil)
		if errors.Is(err, unix.EPERM) { // SO_PASSRIGHTS of Linux 6.16
			c.open(1, "10.77.0.1:0")
			return
		}
		if err != nil {
			break
		}
	}
	c.ended(ipc.ReasonRights)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors more", after-before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestNoHello: who says nothing for two seconds is sent away.
func TestNoHello(t *testing.T) {
	b := newBench(t, generous)
	began := time.Now()
	c := b.dial()
	c.ended(ipc.ReasonState)
	if took := time.Since(began); took < ipc.HelloTimeout-100*time.Millisecond {
		t.Errorf("after %v", took)
	}
}

// TestEmptyMessage: it is the end of the session, as in the protocol.
func TestEmptyMessage(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	if err := unixSend(c.conn, nil); err != nil {
		t.Fatal(err)
	}
	c.ended(ipc.ReasonNone)
}

func unixSend(conn *net.UnixConn, b []byte) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = unix.Send(int(fd), b, 0) }); e != nil {
		return e
	}
	return err
}

// TestNeverReading: a client that sends and never reads is disconnected when its socket is full; nobody waits for it.
func TestNeverReading(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	honest := b.hello()
	honest.open(1, "10.77.0.1:0")
	payload := strings.Repeat("x", 100)
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	for i := range uint32(1 << 20) {
		if _, err := c.conn.Write(c.sendRequest(1, payload, entry(i, "10.77.0.2:9"))); err != nil {
			break
		}
	}
	testenv.Eventually(t, patience, "the client to be disconnected", func() bool { return b.server.Statistics().Unread == 1 })
	if got := honest.send(1, "x", entry(1, "10.77.0.2:9"))[1]; got.Status != 0 {
		t.Errorf("the honest client: %+v", got)
	}
	testenv.Eventually(t, patience, "its session to end", func() bool { return b.server.Statistics().Sessions == 1 })
}

// TestShutForReading: a client that has shut down reading has no session any more, with datagrams for it at hand.
func TestShutForReading(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	local := c.open(1, "10.77.0.1:7000")
	c.credit(1, 10)
	c.must(c.ask(ipc.TypeMTU, 1, &ipc.Path{To: entry(0, "10.77.0.2:9")}), nil) // the credit has come before it
	if err := c.conn.CloseRead(); err != nil {
		t.Fatal(err)
	}
	b.transport.Arrive(arrival("10.77.0.2:9", local.String(), "to nobody"))
	testenv.Eventually(t, patience, "the session to end", func() bool { return b.server.Statistics().Sessions == 0 })
}

// TestReconnectStorm: a user that connects more often than he may is refused, and his sessions go on.
func TestReconnectStorm(t *testing.T) {
	b := newBench(t, generous)
	honest := b.hello()
	honest.open(1, "10.77.0.1:0")
	refused := 0
	for range 200 {
		c := b.dial()
		// Who is taken says nothing, so that it is to be seen who is refused.
		_ = c.conn.CloseWrite()
		if m, ok := c.read(); ok && m.Type == ipc.TypeError && c.failure(m).Reason == ipc.ReasonConnections {
			refused++
		}
		c.conn.Close()
	}
	if refused == 0 {
		t.Error("200 connections in a row, and none was refused")
	}
	if n := b.server.Statistics().Refusals[ipc.ReasonConnections]; n != uint64(refused) {
		t.Errorf("%d refusals are counted, not %d", n, refused)
	}
	if got := honest.send(1, "x", entry(1, "10.77.0.2:9"))[1]; got.Status != 0 {
		t.Errorf("the honest client: %+v", got)
	}
}

// TestOneRuleForAllVersions: what a client breaks is counted by the rule, of which there are only so many, and the ERROR says
// by what.
func TestOneRuleForAllVersions(t *testing.T) {
	b := newBench(t, generous)
	for _, major := range []byte{2, 3} {
		c := b.dial()
		m := (&ipc.Hello{MaxMessage: ipc.MaxMessage, Name: "test"}).Append(ipc.Header{Type: ipc.TypeHello, Seq: 1}.Append(nil))
		m[ipc.HeaderSize+4] = major
		c.write(m)
		got := c.next()
		if f := c.failure(got); f.Reason != ipc.ReasonVersion || !strings.Contains(f.Text, fmt.Sprintf("%d meets 1", major)) {
			t.Errorf("%v: %s", f.Reason, f.Text)
		}
	}
	testenv.Eventually(t, patience, "both to be counted", func() bool {
		n := uint64(0)
		for _, times := range b.server.Statistics().Violations {
			n += times
		}
		return n == 2
	})
	if all := b.server.Statistics().Violations; len(all) != 1 {
		t.Errorf("%d rules are counted: %v", len(all), all)
	}
}

// TestOneDestination: an entry holds its destination from the moment that it is taken, for the others of its SEND, too.
func TestOneDestination(t *testing.T) {
	b := newBench(t, generous+"destinations = 1\n")
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	b.transport.SetMode(wsktest.Wait)
	entries := make([]ipc.Entry, ipc.MaxBatch)
	for i := range entries {
		entries[i] = entry(uint32(i), "10.77.0.2:9")
		entries[i].Port += uint16(i)
	}
	c.write(c.sendRequest(1, "x", entries...))
	send, refused, left := c.seq, 0, -1
	read := c.post(ipc.TypeMTU, 1, &ipc.Path{To: entry(0, "10.77.0.2:9")}) // by its reply the SEND has been read
	for left != 0 {
		m := c.next()
		if m.Seq == read {
			b.pending(1)
			if n := b.transport.Counts().Pending; n != 1 {
				t.Errorf("datagrams to %d destinations wait", n)
			}
			b.transport.CompleteAll(wsk.STATUS_SUCCESS)
		}
		if m.Seq != send {
			continue
		}
		var d ipc.Done
		c.must(m, &d)
		left = int(d.Left)
		for _, one := range d.Completions() {
			if one.Reason == ipc.ReasonDestinations {
				refused++
			}
		}
	}
	if refused != len(entries)-1 {
		t.Errorf("%d of %d are refused", refused, len(entries))
	}
}

// TestManyDestinations: a client that goes through destinations is held to its grant's, and finds room again as they
// are idle.
func TestManyDestinations(t *testing.T) {
	b := newBench(t, generous+"destinations = 100\nnew_destinations = \"200/s\"\n")
	c := b.hello()
	c.open(1, "10.77.0.1:0")
	refused := 0
	for i := range uint32(50) {
		entries := make([]ipc.Entry, 20)
		for j := range entries {
			e := entry(uint32(j), "10.77.0.2:9")
			e.Port = uint16(1 + i*20 + uint32(j))
			entries[j] = e
		}
		for _, one := range c.send(1, "x", entries...) {
			if one.Status == 0 {
				continue
			}
			refused++
			if one.Reason != ipc.ReasonDestinations {
				t.Fatalf("%+v", one)
			}
		}
		if n := b.server.Statistics().Grants[0].Destinations; n > 100 {
			t.Fatalf("%d destinations", n)
		}
	}
	if refused == 0 {
		t.Error("a thousand destinations at once, and none was refused")
	}
}
