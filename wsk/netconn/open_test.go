// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// The end of a context ends an opening whose bind does not return, and what the bind opens in the end is closed.
func TestListenContext(t *testing.T) {
	transport, npi := fake(t)
	transport.DelayBinds(true)
	lc := &netconn.ListenConfig{Provider: npi}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan result, 1)
	go func() {
		_, err := lc.ListenPacket(ctx, "udp", "127.0.0.1:5000")
		done <- result{err: err}
	}()
	stays(t, "an opening that hangs", done)
	cancel()
	var op *net.OpError
	if r := wait(t, done); !errors.Is(r.err, context.Canceled) || !errors.As(r.err, &op) || op.Op != "listen" {
		t.Errorf("%v", r.err)
	}
	if closed := transport.Counts().Closed; closed != 0 {
		t.Errorf("%d endpoints closed while their bind was pending", closed)
	}
	transport.DelayBinds(false)
	eventually(t, "the socket to be closed", func() bool { return transport.Counts().Closed == 1 })
	// An opening with a context that is over does not begin, and the port is free.
	if _, err := lc.ListenPacket(ctx, "udp", "127.0.0.1:5000"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	c, err := lc.ListenPacket(ctx, "udp", "127.0.0.1:5000")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel() // an open connection does not depend on it
	if _, err := c.WriteTo([]byte("x"), c.LocalAddr()); err != nil {
		t.Error(err)
	}
}

// Addresses may have all the forms that package net takes.
func TestResolve(t *testing.T) {
	transport, npi := fake(t)
	transport.SetLocal(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"))
	lc := &netconn.ListenConfig{Provider: npi}
	for _, tc := range []struct{ network, address, want string }{
		{"udp", "", "[::]"},
		{"udp", ":0", "[::]"},
		{"udp", "0.0.0.0:0", "[::]"},
		{"udp4", ":0", "0.0.0.0"},
		{"udp6", ":0", "[::]"},
		{"udp6", "0.0.0.0:0", "[::]"},
		{"udp", "127.0.0.1:domain", "127.0.0.1"},
		{"udp", "[::1]:53", "[::1]"},
		{"udp4", "localhost:0", "127.0.0.1"},
	} {
		c, err := lc.ListenPacket(context.Background(), tc.network, tc.address)
		if err != nil {
			t.Errorf("%s %s: %v", tc.network, tc.address, err)
			continue
		}
		host, _, _ := net.SplitHostPort(c.LocalAddr().String())
		if want, _, _ := net.SplitHostPort(tc.want + ":0"); host != want {
			t.Errorf("%s %s: %v", tc.network, tc.address, c.LocalAddr())
		}
		c.Close()
	}
	for _, tc := range []struct{ network, address string }{
		{"tcp", ":0"}, {"udp", "127.0.0.1"}, {"udp", "127.0.0.1:nope"}, {"udp", "127.0.0.1:65536"}, {"udp4", "[::1]:0"},
		{"udp6", "127.0.0.1:0"}, {"udp", "192.0.2.1:0"}, {"udp", "[fe80::1%nope]:0"},
	} {
		c, err := lc.ListenPacket(context.Background(), tc.network, tc.address)
		var op *net.OpError
		if err == nil || c != nil || !errors.As(err, &op) || op.Op != "listen" {
			t.Errorf("%s %s: %v, %v", tc.network, tc.address, c, err)
		}
	}
	d := &netconn.Dialer{Provider: npi, LocalAddr: netip.MustParseAddrPort("127.0.0.1:6000")}
	for _, address := range []string{":9", "0.0.0.0:9", "127.0.0.1:9", "[::ffff:127.0.0.1]:9"} {
		c, err := d.DialContext(context.Background(), "udp", address)
		if err != nil {
			t.Errorf("dial %s: %v", address, err)
			continue
		}
		if c.RemoteAddr().String() != "127.0.0.1:9" || c.LocalAddr().String() != "127.0.0.1:6000" {
			t.Errorf("dial %s: %v to %v", address, c.LocalAddr(), c.RemoteAddr())
		}
		c.Close()
	}
	for _, address := range []string{"", "[::1]:9", "nowhere"} {
		c, err := d.DialContext(context.Background(), "udp", address)
		var op *net.OpError
		if err == nil || c != nil || !errors.As(err, &op) || op.Op != "dial" {
			t.Errorf("dial %q: %v, %v", address, c, err)
		}
	}
	if counts := transport.Counts(); counts.Endpoints != counts.Closed {
		t.Errorf("%d sockets were opened and %d closed", counts.Endpoints, counts.Closed)
	}
}

// What can't be opened says why, and leaves no socket.
func TestOpenFailures(t *testing.T) {
	transport, npi := fake(t)
	c := listen(t, npi, "127.0.0.1:5000", netconn.Options{})
	at := netip.MustParseAddrPort(c.LocalAddr().String())
	for name, tc := range map[string]struct {
		opts netconn.Options
		want error
	}{
		"in use":          {netconn.Options{}, syscall.EADDRINUSE},
		"contradiction":   {netconn.Options{ReuseAddress: true, ExclusiveAddress: true}, syscall.EINVAL},
		"negative buffer": {netconn.Options{ReadBuffer: -1}, syscall.EINVAL},
	} {
		var op *net.OpError
		var se *netconn.StatusError
		_, err := netconn.Listen(npi, "udp", at, tc.opts)
		if !errors.Is(err, tc.want) || !errors.As(err, &op) || op.Op != "listen" || op.Addr.String() != at.String() || !errors.As(err, &se) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.SetReadBuffer(-1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("SetReadBuffer: %v", err)
	}
	_, err := netconn.Listen(new(wsk.ProviderNPI), "udp", at, netconn.Options{})
	var se *netconn.StatusError
	if !errors.As(err, &se) || se.Status != wsk.STATUS_INVALID_HANDLE {
		t.Errorf("nothing captured: %v", err)
	}
	if _, _, err := netconn.Capture(new(wsk.Subsystem)); !errors.As(err, &se) || se.Status != wsk.STATUS_DEVICE_NOT_READY {
		t.Errorf("nothing attached: %v", err)
	}
	eventually(t, "every socket to be closed", func() bool {
		counts := transport.Counts()
		return counts.Endpoints-counts.Closed == 1
	})
	// Two that both ask for it share an address.
	for range 2 {
		listen(t, npi, "127.0.0.1:5001", netconn.Options{ReuseAddress: true})
	}
}

// SO_RCVBUF is the limit of what waits for reads, doubled as on Linux, with what a datagram counts besides its payload. Where
// nothing waits one of any size is taken.
func TestReadBuffer(t *testing.T) {
	transport, npi := fake(t)
	arrive := func(c *netconn.Conn) int {
		to := netip.MustParseAddrPort(c.LocalAddr().String())
		for range 100 {
			transport.Arrive(wsktest.Arrival{From: somewhere, To: to, Payload: make([]byte, 1000)})
		}
		return c.Socket().ReceiveStatistics().Buffered
	}
	small := arrive(listen(t, npi, "127.0.0.1:0", netconn.Options{ReadBuffer: 10000}))
	if small < 10 || small > 20 {
		t.Errorf("%d datagrams of 1000 bytes in a buffer of 10000", small)
	}
	c := listen(t, npi, "127.0.0.1:0", netconn.Options{})
	if all := arrive(c); all != 100 {
		t.Errorf("%d datagrams in the default buffer", all)
	}
	if err := c.SetReadBuffer(5000); err != nil || c.SetWriteBuffer(5000) != nil {
		t.Error(err)
	}
	if n := c.Socket().ReceiveStatistics().Buffered; n < 5 || n > 10 {
		t.Errorf("%d datagrams are left in a buffer of 5000", n)
	}
	for _, bytes := range []int{0, 1, 2048} {
		c := listen(t, npi, "127.0.0.1:0", netconn.Options{ReadBuffer: bytes})
		if err := c.SetReadBuffer(bytes); err != nil {
			t.Fatal(err)
		}
		transport.Arrive(wsktest.Arrival{From: somewhere, To: netip.MustParseAddrPort(c.LocalAddr().String()), Payload: make([]byte, 60_000)})
		if n := c.Socket().ReceiveStatistics().Buffered; n != 1 {
			t.Errorf("a buffer of %d takes %d of 60,000 bytes", bytes, n)
		}
	}
}

// Zones are indices: the sender of a read can be answered; and names are translated.
func TestZones(t *testing.T) {
	transport, npi := fake(t)
	asked := ""
	opts := netconn.Options{InterfaceIndex: func(name string) (int, error) {
		asked = name
		if name != "wan" {
			return 0, errors.New("no such interface")
		}
		return 7, nil
	}}
	c := listen(t, npi, "[fe80::1%wan]:5000", opts)
	c.SetDeadline(time.Now().Add(waitLimit))
	if asked != "wan" || c.LocalAddr().String() != "[fe80::1%7]:5000" {
		t.Errorf("asked for %q, local address %v", asked, c.LocalAddr())
	}
	from := netip.MustParseAddrPort("[fe80::2%7]:6000")
	transport.Arrive(wsktest.Arrival{From: from, To: netip.MustParseAddrPort("[fe80::1]:5000"), Payload: []byte("x"), IfIndex: 7})
	_, addr, err := c.ReadFrom(make([]byte, 10))
	if err != nil || addr.String() != from.String() {
		t.Fatalf("%v, %v", addr, err)
	}
	transport.Loop(false)
	transport.Record(true)
	if _, err := c.WriteTo([]byte("answer"), addr); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteToUDPAddrPort([]byte("named"), netip.MustParseAddrPort("[fe80::2%wan]:6000")); err != nil {
		t.Fatal(err)
	}
	for _, d := range transport.Datagrams() {
		if d.To.IfIndex != 7 || d.To.Port != 6000 {
			t.Errorf("%s went to %v through interface %d", d.Payload, d.To.IP(), d.To.IfIndex)
		}
	}
	var ae *net.AddrError
	if _, err := c.WriteToUDPAddrPort(nil, netip.MustParseAddrPort("[fe80::2%lan]:6000")); !errors.As(err, &ae) {
		t.Errorf("an unknown zone: %v", err)
	}
}
