// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// nicRX is a fake NIC that takes chunks off the fill ring, and wakes who waits for its frames.
type nicRX struct {
	*xdptest.Kernel
	wake, gone chan struct{}
	once       sync.Once
}

func (n *nicRX) Wait(ready func() bool) bool {
	for !ready() {
		select {
		case <-n.wake:
		case <-n.gone:
			return false
		}
	}
	return true
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

// newNICIntake is a datapath with one receiving queue on such a NIC. Each rebuild makes another, the newest being returned by nic.
func newNICIntake(t *testing.T, rxChunks uint32) (dp *Datapath, nic func() *nicRX, program *fakeProgram) {
	t.Helper()
	var mu sync.Mutex
	var newest *nicRX
	dp, err := openFake(Options{Logger: testLogger(t)}, fakeRoutes{}, func(*device.Device, int) (xdp.Queue, error) {
		k, err := xdptest.New(xdptest.Config{RxChunks: rxChunks, TxChunks: 8, TxRing: 8})
		mu.Lock()
		defer mu.Unlock()
		newest = &nicRX{Kernel: k, wake: make(chan struct{}, 1), gone: make(chan struct{})}
		return newest, err
	})
	if err != nil {
		t.Fatal(err)
	}
	dp.hub.NewWaiter = func(sock xdp.Queue) (receive.Waiter, error) { return sock.(*nicRX), nil }
	program = fakeIntake(t, dp)
	t.Cleanup(func() { dp.Close() })
	return dp, func() *nicRX {
		mu.Lock()
		defer mu.Unlock()
		return newest
	}, program
}

// asleep waits until the receiver sleeps.
func asleep(t *testing.T, dp *Datapath) {
	t.Helper()
	s := onlyHalf(dp).Current()
	eventually(t, "the receiver to sleep", func() bool {
		s.Queue.RingMu.Lock()
		_, frames := s.Ring.Peek(1)
		s.Queue.RingMu.Unlock()
		s.FillMu.Lock()
		defer s.FillMu.Unlock()
		return s.Idle && frames == 0
	})
}

// TestFillWakesDriver: a driver that asked for it is told of chunks that came back, whoever put them into the fill ring: the
// receiver before it sleeps, who releases a datagram while it sleeps, and the janitor where the driver asked too late.
func TestFillWakesDriver(t *testing.T) {
	dp, nic, _ := newNICIntake(t, 16)
	p := bind(t, dp, "0.0.0.0:0")
	h := new(hoard)
	p.setHook(h.take)
	dp.cancel() // the janitor would make good what others forget
	asleep(t, dp)
	woken := func(what string, do func()) {
		t.Helper()
		before := nic().Counters().RxWakeups
		do()
		eventually(t, "a wake-up by "+what, func() bool { return nic().Counters().RxWakeups > before })
	}
	woken("the receiver", func() { nic().arrive(fakeFrame(t, 9, nil)) }) // nobody is bound there
	if !nic().arrive(fakeFrame(t, p.addr().Port(), numbered(0))) {
		t.Fatal("no chunk")
	}
	eventually(t, "the datagram", func() bool { return h.count() == 1 })
	asleep(t, dp)
	woken("who releases", h.release)
	woken("the janitor", onlyHalf(dp).Nudge)
	nic().SetNeedWakeup(false)
	before := nic().Counters().RxWakeups
	onlyHalf(dp).Nudge()
	if n := nic().Counters().RxWakeups; n != before {
		t.Error("a driver that looks by itself was woken")
	}
	nic().SetNeedWakeup(true)
	onlyQueue(dp).Shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
	onlyHalf(dp).Nudge()
	if n := nic().Counters().RxWakeups; n != before {
		t.Error("a socket that was closed was woken")
	}
}

// TestReleaseBesideCallback: while the receiver is in a client's callback, others who release fill the ring.
func TestReleaseBesideCallback(t *testing.T) {
	const n = receive.FillBatch + 8
	dp, nic, _ := newNICIntake(t, 64)
	p := bind(t, dp, "0.0.0.0:0")
	h := new(hoard)
	p.setHook(h.take)
	for i := range n {
		if !nic().arrive(fakeFrame(t, p.addr().Port(), numbered(i))) {
			t.Fatal("no chunk")
		}
	}
	eventually(t, "the datagrams", func() bool { return h.count() == n })
	inside, leave := make(chan struct{}), make(chan struct{})
	p.setHook(func(list *wsk.Datagram) {
		close(inside)
		<-leave
		list.Release()
	})
	defer close(leave)
	nic().arrive(fakeFrame(t, p.addr().Port(), numbered(n)))
	<-inside
	before := nic().Fill().Pending()
	h.release()
	if after := nic().Fill().Pending(); after < before+receive.FillBatch {
		t.Errorf("%d chunks in the fill ring before %d came back, %d after", before, n, after)
	}
}

// TestEndOfReceivingSocket: a socket leaves the program before it is closed, and frames that it had and nobody looked at any more are
// counted.
func TestEndOfReceivingSocket(t *testing.T) {
	const n = 5
	dp, nic, program := newNICIntake(t, 64)
	p := bind(t, dp, "0.0.0.0:0")
	old := nic()
	cleared := 0
	program.cleared = func(int) {
		cleared++
		if nic().Closed() {
			t.Error("the socket was closed while the program knew it")
		}
	}
	inside, leave := make(chan struct{}), make(chan struct{})
	p.setHook(func(list *wsk.Datagram) {
		close(inside)
		<-leave
		list.Release()
	})
	for i := range n + 1 {
		nic().arrive(fakeFrame(t, p.addr().Port(), numbered(i)))
		if i == 0 {
			<-inside
		}
	}
	q := onlyQueue(dp)
	q.KickMu.Lock()
	q.Breakdown("the test wants it", wsk.STATUS_IO_TIMEOUT)
	q.UnlockKick()
	close(leave)
	eventually(t, "a new socket", func() bool { return dp.Info().Queues[0].State == "up" })
	if r := received(t, dp); r.Abandoned != n || r.Frames != 1 || cleared != 1 {
		t.Errorf("%d abandoned, %d looked at, %d times taken out of the program", r.Abandoned, r.Frames, cleared)
	}
	eventually(t, "the end of the old socket", old.Closed)
	p.setHook(nil)
	nic().arrive(fakeFrame(t, p.addr().Port(), numbered(n+1)))
	p.wait(1)
}
