// SPDX-License-Identifier: Apache-2.0

package send

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// stackSends is a companion socket that sends at once to where frames go.
type stackSends struct {
	r *rig
	w *wired
	n atomic.Int32
}

func (s *stackSends) Send(op *wsk.SendOp) { s.SendAndWait(op) }
func (s *stackSends) Drain()              {}
func (s *stackSends) IsSending() bool     { return false }

func (s *stackSends) SendAndWait(op *wsk.SendOp) wsk.NTSTATUS {
	s.n.Add(1)
	to := netip.AddrPortFrom(op.To.IP(), op.To.Port)
	s.w.mu.Lock()
	s.w.frames[to] = append(s.w.frames[to], op.Bufs[0].Mdl.Bytes())
	s.w.mu.Unlock()
	s.r.host.Finish(op, wsk.STATUS_SUCCESS)
	return wsk.STATUS_SUCCESS
}

// awayRig is a network of gateways whose queue is not to be opened anew while the test has it so.
func awayRig(t *testing.T) (*rig, *wired, *stackSends, *atomic.Bool) {
	r, _, w := newGatewayRig(t, 1)
	all := r.host.QueueFor
	r.host.QueueFor = func(d route.Device, serial uint32, later func()) (*Queue, error) {
		q, err := all(d, serial, later)
		if err == nil {
			err = Away(q)
		}
		if err != nil {
			return nil, err
		}
		return q, nil
	}
	s := &stackSends{r: r, w: w}
	return r, w, s, new(atomic.Bool)
}

// taken lets no socket be opened for a queue while busy is set.
func taken(q *Queue, busy *atomic.Bool) {
	q.kickMu.Lock()
	defer q.unlockKick()
	reopen := q.reopen
	q.reopen = func() (xdp.Queue, error) {
		if busy.Load() {
			return nil, unix.EBUSY
		}
		return reopen()
	}
}

// TestQueueAway: while a queue gets no socket, what is in its ring, what waits for it and what comes goes through the kernel's stack,
// to each destination in order; then through the queue again, without another event.
func TestQueueAway(t *testing.T) {
	const many = 100
	r, w, slow, busy := awayRig(t)
	n := &rounds{s: r.socket()}
	r.sources[0].Slow = slow
	r.share(n.s)
	q, k := r.queue(), r.kernels.newest()
	busy.Store(true)
	taken(q, busy)
	k.SetNeedWakeup(false)
	n.send(1, many)
	k.SetNeedWakeup(true)
	BreakDown(q, "a test", nil)
	n.send(2, many)
	awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
	if Away(q) == nil || slow.n.Load() == 0 {
		t.Errorf("away: %v, %d through the kernel's stack", Away(q), slow.n.Load())
	}
	before := slow.n.Load()
	n.send(1, many)
	awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
	if got := slow.n.Load() - before; got != many {
		t.Errorf("%d of what came later went through the kernel's stack, want %d", got, many)
	}
	submitted := q.Info().Submitted
	busy.Store(false)
	testenv.Eventually(t, waitLimit, "datagrams that leave through the queue", func() bool {
		n.send(1, many)
		awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
		return q.Info().Submitted > submitted
	})
	n.inOrder(t, w, many)
	if err := Away(q); err != nil {
		t.Errorf("up, and away: %v", err)
	}
}

// TestQueueAwayForAMoment: a queue that gets its socket soon is waited for.
func TestQueueAwayForAMoment(t *testing.T) {
	r, _, slow, busy := awayRig(t)
	s := r.socket()
	r.sources[0].Slow = slow
	r.share(s)
	q := r.queue()
	taken(q, busy)
	BreakDown(q, "a test", nil)
	awaitAll(t, sendAll(s, sockaddr(behind(1), 9), 10), wsk.STATUS_SUCCESS)
	if n := slow.n.Load(); n != 0 {
		t.Errorf("%d datagrams through the kernel's stack", n)
	}
}
