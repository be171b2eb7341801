// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
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

// What the call refuses is an error of its write, whatever the op's last datagram had come to: EACCES where that one was
// refused by a filter, and EMSGSIZE also where so many calls are refused at once that the IRP completes behind the call.
func TestRefusedByTheCall(t *testing.T) {
	c := scriptedConn(t, Options{}, func(op *wsk.SendOp) {
		op.SetProgress(wsk.SendFiltered)
		op.Complete(wsk.STATUS_ACCESS_DENIED)
	})
	if _, err := c.WriteToUDPAddrPort([]byte("x"), somebody); !errors.Is(err, syscall.EPERM) {
		t.Errorf("refused by a filter: %v", err)
	}
	if err := c.setOption(wsk.SOL_SOCKET, wsk.SO_BROADCAST, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("255.255.255.255:9")); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a broadcast that is not allowed: %v", err)
	}
	c.writes.free, c.writes.nfree = nil, 0 // an op that has sent nothing
	long := make([]byte, 65_520)
	nested(c.socket, 16, func() {
		for range 1000 {
			if _, err := c.WriteToUDPAddrPort(long, somebody); !errors.Is(err, syscall.EMSGSIZE) {
				t.Errorf("%d bytes: %v", len(long), err)
				return
			}
		}
	})
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// nested calls f in the completion routine of a call that is refused in the routine of another, and so on.
func nested(s *wsk.Socket, depth int, f func()) {
	if depth == 0 {
		f()
		return
	}
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
		nested(s, depth-1, f)
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}, nil, true, true, true)
	s.SendTo(nil, 0, nil, nil, irp)
}

// An error that becomes known between a write's last look and its return is the write's.
func TestErrorBeforeReturn(t *testing.T) {
	sent := make(chan *wsk.SendOp, 2)
	entered, proceed := make(chan struct{}), make(chan struct{})
	first := true
	c := scriptedConn(t, Options{}, func(op *wsk.SendOp) {
		op.SetProgress(wsk.SendSought)
		if !first {
			op.ArmCancel(cancelling(func(op *wsk.SendOp) {
				close(entered)
				<-proceed
				op.Complete(wsk.STATUS_CANCELLED)
			}))
		}
		first = false
		sent <- op
	})
	s := &c.writes
	late := writes(c, 1)
	s.sees(t, "the first write", func() bool { return s.pending != nil })
	other := writes(c, 1)
	s.sees(t, "the second write", func() bool { return s.pending.next != nil })
	set := make(chan error, 1)
	go func() { set <- c.SetWriteDeadline(longAgo) }()
	<-entered // the deadline is busy with the second, so that the first waits for it after its look
	op := <-sent
	op.SetProgress(wsk.SendAccepted)
	s.sees(t, "the first write to look", func() bool { return s.settling == 1 })
	op.Complete(wsk.STATUS_INVALID_BUFFER_SIZE)
	close(proceed)
	if err := returns(t, "the first write", late); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("%v, want EMSGSIZE", err)
	}
	if err := returns(t, "the second write", other); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v of the write that was taken back", err)
	}
	if err := <-set; err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// An error that its own write has told is not told again by the next one, although the completion comes last.
func TestErrorIsToldOnce(t *testing.T) {
	entered, proceed, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	first := true
	c := scriptedConn(t, Options{}, func(op *wsk.SendOp) {
		if !first {
			op.Complete(wsk.STATUS_SUCCESS)
			return
		}
		first = false
		op.SetProgress(wsk.SendSought)
		go op.Complete(wsk.STATUS_INVALID_BUFFER_SIZE)
		<-entered
	})
	c.copyEnded = func(o *op) {
		if o.irp.IoStatus.Status == wsk.STATUS_SUCCESS {
			c.copyEnd(o)
			return
		}
		close(entered)
		<-proceed
		c.copyEnd(o)
		close(ended)
	}
	if err := returns(t, "the write", writes(c, 1)); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("%v, want EMSGSIZE", err)
	}
	close(proceed)
	<-ended
	if err := returns(t, "the next write", writes(c, 1)); err != nil {
		t.Errorf("the next write: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A write is not taken for one that waits for its neighbour because the op that it uses has been one.
func TestUsedOpIsNotHeld(t *testing.T) {
	var held *wsk.SendOp
	c := scriptedConn(t, Options{WriteBuffer: 1000}, func(op *wsk.SendOp) {
		if held == nil {
			held = op
			op.SetProgress(wsk.SendHeld)
			return
		}
		op.Complete(wsk.STATUS_SUCCESS)
	})
	if _, err := c.WriteToUDPAddrPort(make([]byte, 10), somebody); err != nil {
		t.Fatal(err)
	}
	held.Complete(wsk.STATUS_HOST_UNREACHABLE)
	ms := make([]Message, 2)
	for i := range ms {
		ms[i] = Message{Buffers: [][]byte{make([]byte, 1000)}, Addr: net.UDPAddrFromAddrPort(somebody)}
	}
	if n, err := c.WriteBatch(ms, 0); n != 2 || err != nil {
		t.Errorf("%d messages of 2 were written, %v", n, err)
	}
	if n := c.Failed(); n != 1 {
		t.Errorf("%d datagrams did not leave, want the first alone", n)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A read tells the ICMP error that it has met, and not an older one that another read has left.
func TestMetIsTold(t *testing.T) {
	c := scriptedConn(t, Options{}, func(op *wsk.SendOp) { op.Complete(wsk.STATUS_SUCCESS) })
	c.reportsErrors = true
	c.connectionError.Store(&StatusError{Call: receiveFrom, Status: wsk.STATUS_HOST_UNREACHABLE})
	met := wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: icmpUnreachable, Code: 3}
	var status *StatusError
	if err := c.met(met); !errors.As(err, &status) || status.Status != wsk.STATUS_PORT_UNREACHABLE {
		t.Errorf("%v, want what was met", err)
	}
	if c.connectionError.Load() != nil {
		t.Error("the older one is told by the next read")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
