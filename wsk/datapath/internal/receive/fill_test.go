// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"bytes"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// nicRX is a fake NIC that takes chunks off the fill ring, and wakes the receiver that waits for its frames.
type nicRX struct {
	*xdptest.Kernel
	wake, gone  chan struct{}
	interrupted chan struct{}
	once        sync.Once
}

func (n *nicRX) Wait(ready func() bool) bool {
	for !ready() {
		select {
		case <-n.wake:
		case <-n.interrupted:
			return true
		case <-n.gone:
			return false
		}
	}
	return true
}

// Detach makes the memory outlive the socket until Close, as that of a real one does.
func (n *nicRX) Detach() error { return nil }

func (n *nicRX) Interrupt() {
	select {
	case n.interrupted <- struct{}{}:
	default:
	}
}

func (n *nicRX) End() { n.once.Do(func() { close(n.gone) }) }

// arrive receives a frame, and reports false when there is no chunk for it.
func (n *nicRX) arrive(frame []byte) bool {
	ok := n.Receive(frame)
	select {
	case n.wake <- struct{}{}:
	default:
	}
	return ok
}

// newNICQueue is a hub with one receiving queue on such a NIC.
func newNICQueue(tb testing.TB, rxChunks uint32) (*Queue, *nicRX, *fakeProgram) {
	tb.Helper()
	nic := newNICRX(tb, rxChunks)
	in, program := addIntake(tb, newHub(tb, fakeHost))
	q := NewQueue(in, 0)
	start(tb, q, nic)
	return q, nic, program
}

func newNICRX(tb testing.TB, rxChunks uint32) *nicRX {
	tb.Helper()
	k, err := xdptest.New(xdptest.Config{RxChunks: rxChunks, TxChunks: 8, TxRing: 8})
	if err != nil {
		tb.Fatal(err)
	}
	return &nicRX{Kernel: k, wake: make(chan struct{}, 1), interrupted: make(chan struct{}, 1), gone: make(chan struct{})}
}

// asleep waits until the receiver sleeps.
func asleep(t *testing.T, q *Queue) {
	t.Helper()
	r := q.current()
	eventually(t, "the receiver to sleep", func() bool {
		q.ringMu.Lock()
		defer q.ringMu.Unlock()
		_, frames := r.ring.Peek(1)
		return r.chunks().Asleep && frames == 0
	})
}

// TestFillWakesDriver: a driver that asked for it is told of chunks that came back, whoever put them into the fill
// ring: the receiver before it sleeps, a goroutine that releases a datagram while it sleeps, and Nudge where the
// driver asked too late.
func TestFillWakesDriver(t *testing.T) {
	q, nic, _ := newNICQueue(t, 16)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7974", false, h.take)
	asleep(t, q)
	woken := func(what string, do func()) {
		t.Helper()
		before := nic.Counters().RxWakeups
		do()
		eventually(t, "a wake-up by "+what, func() bool { return nic.Counters().RxWakeups > before })
	}
	woken("the receiver", func() { nic.arrive(fakeFrame(t, 9, nil)) }) // nobody is bound there
	if !nic.arrive(fakeFrame(t, 7974, numbered(0))) {
		t.Fatal("no chunk")
	}
	eventually(t, "the datagram", func() bool { return h.count() == 1 })
	asleep(t, q)
	woken("the one that releases", h.release)
	woken("a nudge", q.Nudge)
	nic.SetNeedWakeup(false)
	before := nic.Counters().RxWakeups
	q.Nudge()
	if n := nic.Counters().RxWakeups; n != before {
		t.Error("a driver that looks by itself was woken")
	}
	nic.SetNeedWakeup(true)
	if err := q.Close(nic); err != nil {
		t.Error(err)
	}
	q.Nudge()
	if n := nic.Counters().RxWakeups; n != before {
		t.Error("a socket that was closed was woken")
	}
}

// TestReleaseBesideCallback: while the receiver is in a client's callback, others who release fill the ring.
func TestReleaseBesideCallback(t *testing.T) {
	const n = fillBatch + 8
	q, nic, _ := newNICQueue(t, 64)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7974", false, h.take)
	for i := range n {
		if !nic.arrive(fakeFrame(t, 7974, numbered(i))) {
			t.Fatal("no chunk")
		}
	}
	eventually(t, "the datagrams", func() bool { return h.count() == n })
	inside, leave := h.blockNext()
	defer close(leave)
	nic.arrive(fakeFrame(t, 7974, numbered(n)))
	<-inside
	before := nic.Fill().Pending()
	h.release()
	if after := nic.Fill().Pending(); after < before+fillBatch {
		t.Errorf("%d chunks in the fill ring before %d came back, %d after", before, n, after)
	}
}

// TestEndOfReceivingSocket: a socket leaves the program before it is closed, frames that it had and nobody looked at
// any more are counted, and the next socket of the queue goes on.
func TestEndOfReceivingSocket(t *testing.T) {
	const n = 5
	q, nic, program := newNICQueue(t, 64)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7974", false, h.take)
	cleared := 0
	program.cleared = func(int) {
		cleared++
		if nic.Closed() {
			t.Error("the socket was closed while the program knew it")
		}
	}
	inside, leave := h.blockNext()
	for i := range n + 1 {
		nic.arrive(fakeFrame(t, 7974, numbered(i)))
		if i == 0 {
			<-inside
		}
	}
	if err := q.Close(nic); err != nil {
		t.Error(err)
	}
	if nic.Closed() {
		t.Error("the memory of a datagram has gone that a client has")
	}
	program.cleared = nil
	next := newNICRX(t, 64)
	start(t, q, next)
	close(leave)
	if r := q.Info(); r.Abandoned != n || q.intake.Hub.Abandoned() != n || r.Frames != 1 || cleared != 1 {
		t.Errorf("%d abandoned, %d looked at, %d times taken out of the program", r.Abandoned, r.Frames, cleared)
	}
	eventually(t, "the end of the old socket", nic.Closed)
	next.arrive(fakeFrame(t, 7974, numbered(n+1)))
	eventually(t, "a datagram of the new socket", func() bool { return h.count() == 1 })
	h.release()
}

// TestRetainFewChunks: with rings so small that a share of them is less than a chunk, a client that gives nothing
// back gets everything all the same, and each payload stays what it was.
func TestRetainFewChunks(t *testing.T) {
	for _, chunks := range []uint32{1, 2, 4, 7} {
		for _, tell := range []bool{false, true} {
			q, nic, _ := newNICQueue(t, chunks)
			h := &hoard{tell: tell}
			bind(t, q.intake.Hub, "0.0.0.0:7974", false, h.take)
			for i := range 20 {
				// What is copied goes back to the kernel a moment after it was delivered.
				eventually(t, "a chunk for the frame", func() bool { return nic.arrive(fakeFrame(t, 7974, numbered(i))) })
				eventually(t, "the datagram", func() bool { return h.count() == i+1 })
			}
			for i, d := range h.kept {
				if !bytes.Equal(d.Payload, numbered(i)) {
					t.Errorf("%d chunks: datagram %d has changed", chunks, i)
				}
			}
			h.release()
			eventually(t, "the chunks to come home", func() bool { return q.Info().Free == int(chunks) })
		}
	}
}

// TestReleaseWhileAsleep: nobody but the releasing goroutine can fill the ring of a receiver that sleeps.
func TestReleaseWhileAsleep(t *testing.T) {
	const chunks = 16
	q, nic, _ := newNICQueue(t, chunks)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7974", false, h.take)
	for i := range chunks / 2 {
		nic.arrive(fakeFrame(t, 7974, numbered(i)))
	}
	eventually(t, "the datagrams", func() bool { return h.count() == chunks/2 })
	asleep(t, q)
	h.release()
	if n := nic.Fill().Pending(); n != chunks {
		t.Errorf("%d of %d chunks are in the fill ring", n, chunks)
	}
}
