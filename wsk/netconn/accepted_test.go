// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

var longAgo = time.Unix(1, 0)

// A deadline that takes back a datagram ends its write, also where it is found out at that moment that the datagram only
// waits for its neighbour: what a write has returned nil for is not taken back.
func TestDeadlineTakesBack(t *testing.T) {
	c := scriptedConn(t, Options{}, func(op *wsk.SendOp) {
		op.SetProgress(wsk.SendSought)
		op.ArmCancel(cancelling(func(op *wsk.SendOp) {
			op.SetProgress(wsk.SendHeld)
			op.Complete(wsk.STATUS_CANCELLED)
		}))
	})
	done := writes(c, 1)
	c.writes.sees(t, "the write", func() bool { return c.writes.pending != nil })
	if err := c.SetWriteDeadline(longAgo); err != nil {
		t.Fatal(err)
	}
	if err := returns(t, "the write", done); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v of a write whose datagram was taken back", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// An op that two cancel, one for its room and one for the deadline, is not used again until both are done: the one that
// comes late would hit the next datagram.
func TestTwoCancellers(t *testing.T) {
	entered, proceed := make(chan struct{}), make(chan struct{})
	first := true
	c := scriptedConn(t, Options{WriteBuffer: 1}, func(op *wsk.SendOp) {
		if !first {
			op.Complete(wsk.STATUS_SUCCESS)
			return
		}
		first = false
		op.SetProgress(wsk.SendHeld)
		op.ArmCancel(cancelling(func(op *wsk.SendOp) {
			op.Complete(wsk.STATUS_CANCELLED)
			entered <- struct{}{}
			<-proceed
		}))
	})
	s := &c.writes
	o, err := s.beginCopy(1, somebody, true) // a write, as far as it gets before it looks whether it is still sought
	if err != nil {
		t.Fatal(err)
	}
	remote, control, err := c.aim(o, nil, somebody, false)
	if err != nil {
		t.Fatal(err)
	}
	c.arm(o, o.room(1))
	c.socket.SendTo(&o.buf, 0, remote, control, &o.irp)
	s.watch(o)
	other := writes(c, 1) // wants its room
	<-entered
	if err := c.SetWriteDeadline(longAgo); err != nil {
		t.Fatal(err)
	}
	s.unwatch(o)
	if o.parties.Add(-1) == 0 {
		c.finish(o)
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	next, err := s.begin()
	if err != nil {
		t.Fatal(err)
	}
	if next == o {
		t.Error("an op is used again while it is being cancelled")
	}
	s.end(next)
	close(proceed)
	if err := returns(t, "the other write", other); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
