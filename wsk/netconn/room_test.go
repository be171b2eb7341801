// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// A write waits for room where what has not left fills the buffer: until something leaves, the deadline comes or the
// connection is closed. What was taken leaves in its order and as it was.
func TestWriteRoom(t *testing.T) {
	transport, npi := silent(t)
	c := listen(t, npi, "0.0.0.0:0", netconn.Options{WriteBuffer: 2000})
	transport.SetMode(wsktest.Post)
	payload := make([]byte, 1000)
	write := func() (int, error) { return c.WriteToUDPAddrPort(payload, somewhere) }
	for i := range 2 { // the second goes beyond the limit
		payload[0] = byte(i)
		if n, err := write(); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	payload[0] = 2
	full := make(chan result, 1)
	go func() {
		n, err := write()
		full <- result{n, err}
	}()
	stays(t, "a write without room", full)
	transport.Complete(0, wsk.STATUS_SUCCESS)
	if r := wait(t, full); r.n != 1000 || r.err != nil {
		t.Errorf("%d, %v", r.n, r.err)
	}
	for _, tc := range []struct {
		end  func() error
		want error
	}{
		{func() error { return c.SetWriteDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded},
		{c.Close, net.ErrClosed},
	} {
		c.SetWriteDeadline(time.Time{})
		go func() {
			n, err := write()
			full <- result{n, err}
		}()
		stays(t, "a write without room", full)
		ended := make(chan error, 1)
		go func() { ended <- tc.end() }()
		if r := wait(t, full); r.n != 0 || !errors.Is(r.err, tc.want) {
			t.Errorf("%d, %v, want %v", r.n, r.err, tc.want)
		}
		if tc.want == net.ErrClosed {
			transport.Complete(0, wsk.STATUS_HOST_UNREACHABLE)
			transport.Complete(0, wsk.STATUS_SUCCESS)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	var got []string
	for _, d := range transport.Datagrams() {
		got = append(got, fmt.Sprint(len(d.Payload), d.Payload[0]))
	}
	if want := []string{"1000 0", "1000 1", "1000 2"}; !slices.Equal(got, want) {
		t.Errorf("%q have left, want %q", got, want)
	}
	if c.Failed() != 1 {
		t.Errorf("%d failed", c.Failed())
	}
}

// What a provider tells of a datagram late is the error of the next write to the same destination, and of no other.
func TestLateError(t *testing.T) {
	transport, npi := silent(t)
	c := listen(t, npi, "0.0.0.0:0", netconn.Options{})
	transport.SetMode(wsktest.Post)
	if _, err := c.WriteToUDPAddrPort([]byte("x"), somewhere); err != nil {
		t.Fatal(err)
	}
	transport.Complete(0, wsk.STATUS_ACCESS_DENIED)
	transport.SetMode(wsktest.Deliver)
	if _, err := c.WriteTo([]byte("x"), udp("192.0.2.2:9")); err != nil {
		t.Errorf("to another: %v", err)
	}
	if _, err := c.WriteToUDPAddrPort([]byte("x"), somewhere); !errors.Is(err, os.ErrPermission) {
		t.Errorf("to the same: %v", err)
	}
	if _, err := c.WriteToUDPAddrPort([]byte("x"), somewhere); err != nil {
		t.Errorf("once more: %v", err)
	}
}
