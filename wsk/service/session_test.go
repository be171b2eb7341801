// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// TestSendThrough: a session from HELLO to its end.
func TestSendThrough(t *testing.T) {
	b := newBench(t, generous)
	c := b.hello()
	local := c.open(1, "10.77.0.1:0")
	if local.Port() < 49152 {
		t.Errorf("bound to %v", local)
	}
	entries := make([]ipc.Entry, ipc.MaxBatch)
	for i := range entries {
		entries[i] = entry(uint32(i), "10.77.0.2:9")
	}
	done := c.send(1, "payload", entries...)
	if len(done) != ipc.MaxBatch {
		t.Fatalf("%d completions", len(done))
	}
	for id, one := range done {
		if one.Status != 0 || one.Bytes != 7 {
			t.Errorf("%d: %+v", id, one)
		}
	}
	left := b.transport.Datagrams()
	if len(left) != ipc.MaxBatch || string(left[5].Payload) != "payload" || left[5].From != local {
		t.Errorf("%d datagrams have left", len(left))
	}
	c.must(c.ask(ipc.TypeClose, 1, nil), nil)
	c.open(1, "10.77.0.1:0")
}

// TestRefusedAndEnded: what is only refused is answered, and what breaks a rule ends the session.
func TestRefusedAndEnded(t *testing.T) {
	b := newBench(t, "destination = [\"10.0.0.0/8\"]\nsource = [\"10.77.0.1\"]\n")
	c := b.hello()
	c.refused(c.ask(ipc.TypeOpen, 1, openRequest("10.78.0.1:0")), wsk.STATUS_ACCESS_DENIED, ipc.ReasonSourceAddress)
	c.refused(c.ask(ipc.TypeOpen, 1, openRequest("10.77.0.1:5000")), wsk.STATUS_ACCESS_DENIED, ipc.ReasonSourcePort)
	c.open(1, "10.77.0.1:0")
	done := c.send(1, "x", entry(1, "0.0.0.0:9"), entry(2, "10.77.0.2:9"))
	if got := wsk.NTSTATUS(done[1].Status); got != wsk.STATUS_INVALID_ADDRESS_COMPONENT {
		t.Errorf("a wildcard: %v", got)
	}
	if done[2].Status != 0 {
		t.Errorf("beside a wildcard: %+v", done[2])
	}
	c.post(ipc.TypeClose, 2, nil)
	c.ended(ipc.ReasonState)
}
