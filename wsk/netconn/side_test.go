// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// slowCancel is a transport whose cancels take their time: they return when proceed is closed, long after the operation
// has completed.
type slowCancel struct {
	*wsktest.Transport
	wait      bool
	cancelled chan struct{}
	proceed   chan struct{}
}

type slowEndpoint struct {
	wsk.Endpoint
	t *slowCancel
}

func (t *slowCancel) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	e, status := t.Transport.OpenEndpoint(family, events)
	return &slowEndpoint{e, t}, status
}

func (e *slowEndpoint) Send(op *wsk.SendOp) {
	if !e.t.wait {
		e.Endpoint.Send(op)
		return
	}
	if !op.ArmCancel(e.t) {
		op.Complete(wsk.STATUS_CANCELLED)
	}
}

func (t *slowCancel) CancelSend(op *wsk.SendOp) {
	op.Complete(wsk.STATUS_CANCELLED)
	t.cancelled <- struct{}{}
	<-t.proceed
}

// A cancel that is still running when its call is over does not hit the next call, and nobody has to wait for it.
func TestLateCancel(t *testing.T) {
	transport := &slowCancel{
		Transport: wsktest.New(), wait: true, cancelled: make(chan struct{}), proceed: make(chan struct{}),
	}
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(transport, wsk.ProviderOptions{})
	npi, release, err := Capture(subsystem)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	c, err := Listen(npi, "udp", netip.AddrPort{}, Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort("192.0.2.1:9")
	done, set := make(chan error), make(chan error)
	go func() {
		_, err := c.WriteToUDPAddrPort([]byte("x"), to)
		done <- err
	}()
	pending := func() *op {
		c.writes.mu.Lock()
		defer c.writes.mu.Unlock()
		return c.writes.pending
	}
	for end := time.Now().Add(time.Minute); pending() == nil && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	first := pending()
	go func() { set <- c.SetWriteDeadline(time.Unix(1, 0)) }()
	<-transport.cancelled
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the write: %v", err)
	}
	// The cancel is running; the deadline moves, and another write begins.
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	transport.wait = false
	o, err := c.writes.begin()
	if err != nil || o == first {
		t.Fatalf("the op that is being cancelled is used again: %v", err)
	}
	c.writes.end(o)
	if _, err := c.WriteToUDPAddrPort([]byte("x"), to); err != nil {
		t.Errorf("the next write: %v", err)
	}
	close(transport.proceed)
	if err := <-set; err != nil {
		t.Error(err)
	}
	if first.over || first.timedOut || first.cancellers != 0 || first.mdl.Bytes() != nil {
		t.Errorf("the op was not made new: %+v", first)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A batch that takes back its last receive does not lose the datagram that has just completed it.
func TestWithdrawnTooLate(t *testing.T) {
	transport := wsktest.New()
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(transport, wsk.ProviderOptions{})
	npi, release, err := Capture(subsystem)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	c, err := Listen(npi, "udp", netip.MustParseAddrPort("127.0.0.1:5000"), Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := &Message{Buffers: [][]byte{make([]byte, 10)}}
	for _, faster := range []bool{true, false} {
		o, err := c.reads.begin()
		if err != nil {
			t.Fatal(err)
		}
		o.pointAtAll(m.Buffers)
		status := c.post(o, true)
		if faster {
			transport.Arrive(wsktest.Arrival{
				From: netip.MustParseAddrPort("192.0.2.1:9"), To: netip.MustParseAddrPort("127.0.0.1:5000"), Payload: []byte("fast"),
			})
		}
		err = c.finishMessage(o, m, status, false)
		c.reads.end(o)
		if faster && (err != nil || string(m.Buffers[0][:m.N]) != "fast") || !faster && err != errEmpty {
			t.Errorf("faster %v: %q, %v", faster, m.Buffers[0][:m.N], err)
		}
	}
}

// An idle op has no reference to a caller's memory, and there are not too many of them.
func TestIdleOps(t *testing.T) {
	var s side
	ops := make([]*op, 2*maxFree)
	for i := range ops {
		o, err := s.begin()
		if err != nil {
			t.Fatal(err)
		}
		o.pointAtAll([][]byte{make([]byte, 10), make([]byte, 20)})
		o.batch.Sends = append(o.batch.Sends, wsk.BatchSend{Buf: &o.buf, IRP: &o.irp})
		o.pointAt(make([]byte, 10))
		ops[i] = o
	}
	for _, o := range ops {
		s.end(o)
	}
	if s.nfree != maxFree || s.pending != nil {
		t.Errorf("%d idle ops, pending %v", s.nfree, s.pending)
	}
	for o := s.free; o != nil; o = o.next {
		if o.mdl.Bytes() != nil || o.buf != (wsk.Buf{}) {
			t.Fatalf("%+v", o)
		}
		for i := range o.mdls {
			if o.mdls[i].Bytes() != nil || o.mdls[i].Next != nil {
				t.Fatalf("MDL %d", i)
			}
		}
		for i := range o.batch.Sends {
			if o.batch.Sends[i].Buf != nil || o.batch.Sends[i].IRP != nil {
				t.Fatalf("send %d", i)
			}
		}
	}
	s.close()
	if _, err := s.begin(); err != net.ErrClosed {
		t.Errorf("closed: %v", err)
	}
}

// A timer that fires late, for a deadline that has been replaced, does nothing.
func TestStaleTimer(t *testing.T) {
	var s side
	if err := s.setDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.expire()
	if err := s.refused(); err != nil {
		t.Errorf("an hour early: %v", err)
	}
	s.setDeadline(time.Time{})
	s.expire()
	if err := s.refused(); err != nil {
		t.Errorf("without a deadline: %v", err)
	}
	s.close()
	s.expire()
}
