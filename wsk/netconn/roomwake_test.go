// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// scripted is a transport whose sends are the test's.
type scripted struct {
	*wsktest.Transport
	send func(op *wsk.SendOp)
}

type scriptedEndpoint struct {
	wsk.Endpoint
	t *scripted
}

func (t *scripted) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	e, status := t.Transport.OpenEndpoint(family, events)
	return &scriptedEndpoint{e, t}, status
}

func (e *scriptedEndpoint) Send(op *wsk.SendOp) { e.t.send(op) }

// cancelling is a canceller that is a function.
type cancelling func(op *wsk.SendOp)

func (f cancelling) CancelSend(op *wsk.SendOp) { f(op) }

// scriptedConn is a connection over such a transport. The test closes it.
func scriptedConn(t *testing.T, opts Options, send func(op *wsk.SendOp)) *Conn {
	t.Helper()
	subsystem := new(wsk.Subsystem)
	subsystem.Attach(&scripted{wsktest.New(), send}, wsk.ProviderOptions{})
	npi, release, err := Capture(subsystem)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() { // the connection may be open, and the release would wait for it
			return
		}
		release()
		subsystem.Detach()
	})
	c, err := Listen(npi, "udp4", netip.AddrPort{}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var somebody = netip.MustParseAddrPort("192.0.2.1:9")

// writes has a goroutine write a datagram of n bytes.
func writes(c *Conn, n int) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.WriteToUDPAddrPort(make([]byte, n), somebody)
		done <- err
	}()
	return done
}

// returns waits for a write. Only what is broken takes long.
func returns(t *testing.T, what string, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatalf("%s does not return", what)
		return nil
	}
}

// sees waits until a side is as the condition says.
func (s *side) sees(t *testing.T, what string, condition func() bool) {
	t.Helper()
	holds := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return condition()
	}
	for end := time.Now().Add(10 * time.Second); !holds(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A look for what makes room that has let the mutex go says so, whether or not its cancel came in time: what has left
// meanwhile, and a deadline and a close that came meanwhile, have woken nobody. It looks at each datagram once.
func TestDropHeldTellsOfGap(t *testing.T) {
	var taken []*wsk.SendOp
	c := scriptedConn(t, Options{}, func(op *wsk.SendOp) { // its neighbour has just answered
		op.SetProgress(wsk.SendHeld)
		taken = append(taken, op)
	})
	if _, err := c.WriteToUDPAddrPort([]byte("x"), somebody); err != nil {
		t.Fatal(err)
	}
	s := &c.writes
	s.mu.Lock()
	first, second := s.dropHeld(somebody), s.dropHeld(somebody)
	s.mu.Unlock()
	if !first || second {
		t.Errorf("a cancel that came too late: %v, then %v, want true, since the mutex was let go, and then false", first, second)
	}
	taken[0].Complete(wsk.STATUS_SUCCESS)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A write that waits for room ends when what fills it comes to wait for a neighbour, long after its own write has returned.
func TestRoomOfWhatIsHeldLater(t *testing.T) {
	sent := make(chan *wsk.SendOp, 1)
	c := scriptedConn(t, Options{WriteBuffer: 1}, func(op *wsk.SendOp) { sent <- op })
	if err := returns(t, "the first write", writes(c, 1)); err != nil {
		t.Fatal(err)
	}
	first := <-sent
	second := writes(c, 1)
	c.writes.sees(t, "the second write", func() bool { return c.writes.room.waiters == 1 })
	var mu sync.Mutex // of the transport
	mu.Lock()
	first.ArmCancel(cancelling(func(op *wsk.SendOp) {
		mu.Lock()
		defer mu.Unlock()
		op.Complete(wsk.STATUS_CANCELLED)
	}))
	first.SetProgress(wsk.SendHeld) // its next hop has gone
	mu.Unlock()
	if err := returns(t, "a write that waits for room", second); err != nil || c.Failed() != 1 {
		t.Errorf("%v, %d failed", err, c.Failed())
	}
	(<-sent).Complete(wsk.STATUS_SUCCESS)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// What has left may make room for several writes: none of them waits for what another has written.
func TestRoomForSeveral(t *testing.T) {
	sent := make(chan *wsk.SendOp, 3)
	c := scriptedConn(t, Options{WriteBuffer: 2000}, func(op *wsk.SendOp) { sent <- op })
	c.writes.room.ticking = true // which would help
	if err := returns(t, "the first write", writes(c, 2000)); err != nil {
		t.Fatal(err)
	}
	waiting := []<-chan error{writes(c, 10), writes(c, 10)}
	c.writes.sees(t, "two writes", func() bool { return c.writes.room.waiters == 2 })
	(<-sent).Complete(wsk.STATUS_SUCCESS)
	for _, done := range waiting {
		if err := returns(t, "a write that has room", done); err != nil {
			t.Error(err)
		}
	}
	for range waiting {
		(<-sent).Complete(wsk.STATUS_SUCCESS)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A write does not miss that room has come while it looks for what makes room.
func TestRoomStorm(t *testing.T) {
	leaves := make(chan *wsk.SendOp)
	c := scriptedConn(t, Options{WriteBuffer: 1}, func(op *wsk.SendOp) {
		op.SetProgress(wsk.SendHeld)
		leaves <- op
	})
	c.writes.room.ticking = true // which would help
	for range 3 {
		go func() {
			for op := range leaves {
				op.Complete(wsk.STATUS_SUCCESS)
			}
		}()
	}
	done := make(chan error, 1)
	go func() {
		for range 100_000 {
			if _, err := c.WriteToUDPAddrPort([]byte("x"), somebody); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	if err := returns(t, "a storm of writes", done); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	close(leaves)
}
