// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// highGear puts the only queue of a datapath into the high gear, as load would.
func highGear(t *testing.T, dp *Datapath) *send.Queue {
	t.Helper()
	var q *send.Queue
	dp.devices.EachQueue(func(only *send.Queue) { q = only })
	dp.senders.Tails.Add(q)
	return q
}

// TestTailLeaves: a burst that does not fill leaves all the same, whether the poller is looking or dozing.
func TestTailLeaves(t *testing.T) {
	dp, _ := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{Logger: testLogger(t)})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	q := highGear(t, dp)
	for _, irp := range sendAll(s, to, send.LoadBurst/2) {
		mustSucceed(t, "a frame of a tail", await(t, irp))
	}
	// Full bursts leave nothing behind, so the poller dozes; a tail then wakes it.
	for q.Poll.HighGear() && !dp.senders.Tails.Dozing.Load() {
		for _, irp := range sendAll(s, to, send.LoadBurst) {
			mustSucceed(t, "a frame of a burst", await(t, irp))
		}
	}
	for _, irp := range sendAll(s, to, 3) {
		mustSucceed(t, "a tail behind a doze", await(t, irp))
	}
}

// TestHighGearIsLeft: without load, and with a client that waits for each of its sends, a queue goes back to kicking at once.
func TestHighGearIsLeft(t *testing.T) {
	dp, _ := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{Logger: testLogger(t)})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	q := highGear(t, dp)
	testenv.Eventually(t, waitLimit, "an idle queue to leave the high gear", func() bool { return !q.Poll.HighGear() })
	highGear(t, dp)
	testenv.Eventually(t, waitLimit, "a queue whose client waits to leave the high gear", func() bool {
		mustSucceed(t, "one at a time", sendOne(t, s, whole([]byte("x")), to, nil))
		return !q.Poll.HighGear()
	})
}

// TestCloseInHighGear: frames that were left to a burst complete before the socket is closed.
func TestCloseInHighGear(t *testing.T) {
	dp, _ := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{Logger: testLogger(t)})
	c := newClient(t, dp)
	s := c.socket("0.0.0.0:0")
	to := warm(t, s)
	highGear(t, dp)
	irps := sendAll(s, to, 5)
	closeSocket(t, s)
	for _, irp := range irps {
		if pending(irp) {
			t.Fatal("an IRP is pending after the close")
		}
		if status := irp.IoStatus.Status; status != wsk.STATUS_SUCCESS {
			t.Errorf("IRP ended with %v", status)
		}
	}
}

// TestTailsOfTwoQueues: one watcher looks after the tails of every queue, and is gone when the load is over.
func TestTailsOfTwoQueues(t *testing.T) {
	dp, _ := newFakeDatapath(t, xdptest.Config{Budget: -1}, Options{Queues: 2, Logger: testLogger(t)})
	c := newClient(t, dp)
	var irps []*wsk.IRP
	sockets := []*wsk.Socket{c.socket("0.0.0.0:0"), c.socket("0.0.0.0:0")}
	var to wsk.SOCKADDR
	for _, s := range sockets {
		to = warm(t, s)
	}
	queues := 0
	dp.devices.EachQueue(func(q *send.Queue) {
		queues++
		dp.senders.Tails.Add(q)
		dp.senders.Tails.Add(q) // in the high gear already
	})
	if queues != 2 {
		t.Fatalf("%d queues, want 2", queues)
	}
	for _, s := range sockets {
		irps = append(irps, sendAll(s, to, send.LoadBurst/2)...)
	}
	for _, irp := range irps {
		mustSucceed(t, "a frame of a tail", await(t, irp))
	}
	testenv.Eventually(t, waitLimit, "the watcher to end", func() bool {
		dp.senders.Tails.Mu.Lock()
		defer dp.senders.Tails.Mu.Unlock()
		return len(dp.senders.Tails.Queues) == 0 && !dp.senders.Tails.Running
	})
	dp.devices.EachQueue(func(q *send.Queue) {
		if q.Poll.HighGear() {
			t.Errorf("queue %d is left in the high gear", q.Id)
		}
	})
}
