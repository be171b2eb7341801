// SPDX-License-Identifier: Apache-2.0

package send

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// highGear puts the only queue into the high gear, as load would.
func highGear(r *rig) *Queue {
	q := r.queue()
	r.host.Tails.Add(q)
	return q
}

// TestTailLeaves: a burst that does not fill leaves all the same, whether the poller is looking or dozing.
func TestTailLeaves(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	q := highGear(r)
	for _, irp := range sendAll(s, to, LoadBurst/2) {
		mustSucceed(t, "a frame of a tail", await(t, irp))
	}
	// Full bursts leave nothing behind, so the poller dozes; a tail then wakes it.
	for q.Poll.HighGear() && !r.host.Tails.Dozing.Load() {
		for _, irp := range sendAll(s, to, LoadBurst) {
			mustSucceed(t, "a frame of a burst", await(t, irp))
		}
	}
	for _, irp := range sendAll(s, to, 3) {
		mustSucceed(t, "a tail behind a doze", await(t, irp))
	}
}

// TestHighGearIsLeft: without load, and with a client that waits for each of its sends, a queue goes back to kicking at once.
func TestHighGearIsLeft(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	q := highGear(r)
	testenv.Eventually(t, waitLimit, "an idle queue to leave the high gear", func() bool { return !q.Poll.HighGear() })
	highGear(r)
	testenv.Eventually(t, waitLimit, "a queue whose client waits to leave the high gear", func() bool {
		mustSucceed(t, "one at a time", sendOne(t, s, whole([]byte("x")), to, nil))
		return !q.Poll.HighGear()
	})
}

// TestCloseInHighGear: frames that were left to a burst complete before the socket is closed.
func TestCloseInHighGear(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	highGear(r)
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
	r := newRig(t, xdptest.Config{Budget: -1})
	r.queues = make([]*Queue, 2)
	var irps []*wsk.IRP
	sockets := []*wsk.Socket{r.socket(), r.socket()}
	var to wsk.SOCKADDR
	for _, s := range sockets {
		to = r.warm(s)
	}
	for _, q := range r.queues {
		r.host.Tails.Add(q)
		r.host.Tails.Add(q) // in the high gear already
	}
	for _, s := range sockets {
		irps = append(irps, sendAll(s, to, LoadBurst/2)...)
	}
	for _, irp := range irps {
		mustSucceed(t, "a frame of a tail", await(t, irp))
	}
	testenv.Eventually(t, waitLimit, "the watcher to end", func() bool {
		r.host.Tails.Mu.Lock()
		defer r.host.Tails.Mu.Unlock()
		return len(r.host.Tails.Queues) == 0 && !r.host.Tails.Running
	})
	for _, q := range r.queues {
		if q.Poll.HighGear() {
			t.Errorf("queue %d is left in the high gear", q.Id)
		}
	}
}
