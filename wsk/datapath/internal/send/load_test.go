// SPDX-License-Identifier: Apache-2.0

package send

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// highGear puts the only queue into the high gear, as load would.
func highGear(r *rig) *Queue {
	q := r.queue()
	r.host.Tails.add(q)
	return q
}

// TestTailLeaves: a burst that does not fill leaves all the same, whether the poller is looking or dozing.
func TestTailLeaves(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	to := r.warm(s)
	q := highGear(r)
	for _, irp := range sendAll(s, to, loadBurst/2) {
		mustSucceed(t, "a frame of a tail", await(t, irp))
	}
	// Full bursts leave nothing behind, so the poller dozes; a tail then wakes it.
	for q.poll.highGear() && !r.host.Tails.dozing.Load() {
		for _, irp := range sendAll(s, to, loadBurst) {
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
	testenv.Eventually(t, waitLimit, "an idle queue to leave the high gear", func() bool { return !q.poll.highGear() })
	highGear(r)
	testenv.Eventually(t, waitLimit, "a queue whose client waits to leave the high gear", func() bool {
		mustSucceed(t, "one at a time", sendOne(t, s, whole([]byte("x")), to, nil))
		return !q.poll.highGear()
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
		r.host.Tails.add(q)
		r.host.Tails.add(q) // in the high gear already
	}
	for _, s := range sockets {
		irps = append(irps, sendAll(s, to, loadBurst/2)...)
	}
	for _, irp := range irps {
		mustSucceed(t, "a frame of a tail", await(t, irp))
	}
	testenv.Eventually(t, waitLimit, "the watcher to end", func() bool {
		r.host.Tails.mu.Lock()
		defer r.host.Tails.mu.Unlock()
		return len(r.host.Tails.queues) == 0 && !r.host.Tails.running
	})
	for _, q := range r.queues {
		if q.poll.highGear() {
			t.Errorf("queue %d is left in the high gear", q.id)
		}
	}
}

// TestTailPace: while bursts fill the watcher looks more and more seldom, and one tail makes it look often again.
func TestTailPace(t *testing.T) {
	var p tailPace
	now := time.Now()
	step := func(d time.Duration, tail bool, want time.Duration) {
		t.Helper()
		now = now.Add(d)
		if got := p.next(now, tail); got != want {
			t.Errorf("a nap of %v, want %v", got, want)
		}
	}
	step(0, true, tailLook)
	step(tailLook, false, tailLook)
	step(tailMemory-tailLook, false, tailLook)
	step(tailLook, false, 2*tailLook)
	step(2*tailLook, false, 4*tailLook)
	step(4*tailLook, false, 8*tailLook)
	step(8*tailLook, false, tailSeldom)
	step(tailSeldom, false, tailSeldom)
	step(time.Hour, true, tailLook)
	step(tailMemory, false, tailLook)
}

// TestLoadBesideKicks: a queue is loaded where only the kick of each send keeps its senders from more, and not where they have
// nothing to send meanwhile.
func TestLoadBesideKicks(t *testing.T) {
	for _, c := range []struct {
		name       string
		each, kick time.Duration // from one send to the next, and of that the kick
		perKick    uint32
		want       bool
	}{
		{"fast by itself", 4 * time.Microsecond, 0, 1, true},
		{"slow by itself", 8 * time.Microsecond, time.Microsecond, 1, false},
		{"kept by its kicks", 8 * time.Microsecond, 5 * time.Microsecond, 1, true},
		{"one kick for several", 8 * time.Microsecond, 5 * time.Microsecond, 4, false},
		{"slow whatever it does", 21 * time.Microsecond, 20 * time.Microsecond, 1, false},
	} {
		for _, held := range []bool{false, true} {
			m := loadMeter{at: time.Now().Add(-loadFrames * c.each)}
			if held {
				m.holdoff = time.Now().Add(time.Hour)
			}
			for range loadFrames / c.perKick {
				if began := m.beginKick(); !began.IsZero() {
					m.note(c.kick)
				}
			}
			if got := m.isFast(loadFrames); got != (c.want && !held) {
				t.Errorf("%s, held %v: %v", c.name, held, got)
			}
			if m.kicks != 0 || m.mark != loadFrames {
				t.Errorf("%s: what is counted begins anew with %d kicks at %d", c.name, m.kicks, m.mark)
			}
		}
	}
}

// TestKickTime: an interrupted kick does not count, and a lasting change does.
func TestKickTime(t *testing.T) {
	var m loadMeter
	for _, took := range []time.Duration{3000, 1000, 900000, 1100} {
		m.note(took)
	}
	if m.kick < 1000 || m.kick > 1200 {
		t.Errorf("%v", m.kick)
	}
	for range 50 {
		m.note(4000)
	}
	if m.kick != 4000 {
		t.Errorf("%v after many that take longer", m.kick)
	}
}
