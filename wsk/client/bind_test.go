// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// TestBindAfterLostSession: a socket whose bind has failed with its session sends like any other once it is bound.
func TestBindAfterLostSession(t *testing.T) {
	var lost atomic.Bool
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, _ []byte) bool {
			if h.Type != ipc.TypeOpen || lost.Swap(true) {
				return false
			}
			p.conn.Close()
			return true
		}
	})
	socket := newSocket(t, capture(t, open(t, client.Options{Path: d.path})))
	if status := bind(t, socket); status != wsk.STATUS_FILE_FORCED_CLOSED {
		t.Errorf("bind: %v", status)
	}
	testenv.Eventually(t, waitLimit, "a bind in a new session", func() bool { return bind(t, socket) == wsk.STATUS_SUCCESS })
	all(t, send(socket, 1), wsk.STATUS_SUCCESS)
}

// TestDeadBeforeBound: a socket that dies while it is being bound is told after it was.
func TestDeadBeforeBound(t *testing.T) {
	d := serve(t, memory(), func(d *daemon) {
		d.intercept = func(p *peer, h ipc.Header, _ []byte) bool {
			if h.Type == ipc.TypeOpen {
				p.write(ipc.Header{Type: ipc.TypeDead, Socket: h.Socket}, new(ipc.Failure).Append(nil))
			}
			return false
		}
	})
	ep, _, events := endpoint(t, open(t, client.Options{Path: d.path}), func(*wsk.Datagram) {})
	select {
	case <-events.dead:
	case <-testenv.Context(t, waitLimit).Done():
		t.Error("it is not told")
	}
	closeEndpoint(ep)
}
