// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

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
