// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/turns"
)

// queueJob puts a filled job at the end of the socket's queue and sees to it that it is somebody's turn.
func (k *socket) queueJob(j *job) {
	k.mu.Lock()
	j.active = true
	if k.jobs = append(k.jobs, j); len(k.jobs) == 1 {
		k.session.server.busy.Add(1)
	}
	over := j.over.Load() == j.all
	if !over {
		k.queue = append(k.queue, j)
	}
	aborted := k.aborted
	k.mu.Unlock()
	switch {
	case over:
		j.tell()
	case aborted:
		k.cancelQueued()
	default:
		k.member.Ready()
		k.pump.Run(k.session.out.flush)
	}
}

// Hand implements turns.Hander: it hands datagrams to the transport.
func (k *socket) Hand(share int) (used int, more bool) {
	turn := k.quota.Grant().BeginTurn()
	k.mu.Lock()
	ops := k.ops[:0]
	k.room = k.session.server.room()
	limited := false
	var refused []*entry
	var counts *atomic.Int64 // of the last entry
	counted := 0             // frames that it is not told of yet
	for used < share && !k.aborted {
		e := k.nextLocked()
		if e == nil {
			break
		}
		frames := &k.fresh
		if e.to.state.Load() == targetReached {
			frames = &k.frames
		}
		if frames != counts {
			count(counts, counted)
			counts, counted = frames, 0
		}
		if int(frames.Load())+counted >= k.room {
			count(counts, counted)
			counted = 0
			k.blocked.Store(frames) // until something completes
			if k.unblockLocked() {  // which it has, and nobody has seen that it is waited for
				continue
			}
			break
		}
		payload, n := e.nextPart()
		if turn.Bounds() && !turn.Take(n, linkBits(&e.to.to, len(payload), n)) {
			if k.session.granted.Load().grant.Limits.Refuse {
				e.state = over
				k.passLocked(e)
				refused = append(refused, e)
				continue
			}
			limited = true
			break
		}
		e.counted = frames
		counted += n
		ops = append(ops, e.relay(payload, n))
		used += n
		k.passLocked(e)
	}
	count(counts, counted)
	more = used >= share && k.nextLocked() != nil
	k.mu.Unlock()
	if wait := turn.End(); limited {
		k.hold.wait(max(wait, holdLeast))
	}
	k.ops = ops
	if len(ops) != 0 {
		wsk.SendAll(k.ep, ops)
		k.watch()
	}
	for _, e := range refused {
		k.finish(e, wsk.STATUS_INSUFFICIENT_RESOURCES, ipc.ReasonRate)
	}
	return used, more
}

// count counts frames that are about to be with the transport.
func count(in *atomic.Int64, frames int) {
	if frames != 0 {
		in.Add(int64(frames))
	}
}

// nextLocked is the entry whose turn it is. mu is held.
func (k *socket) nextLocked() *entry {
	for len(k.queue) > 0 {
		j := k.queue[0]
		for j.next < j.n {
			switch e := &j.entries[j.next]; e.state {
			case waiting:
				return e
			case under: // the parts of a long entry go one after the other
				return nil
			}
			j.next++
		}
		k.queue = append(k.queue[:0], k.queue[1:]...)
	}
	return nil
}

// passLocked goes on to the next entry, unless there is more of this one. mu is held.
func (k *socket) passLocked(e *entry) {
	if e.state == over || !e.hasMore() {
		e.job.next++
	}
}

// partFrames bounds what is handed over of one entry at a time, so that a payload in small segments does not fill the
// transport's queue.
const partFrames = 64

// nextPart is what goes next of the entry.
func (e *entry) nextPart() (payload []byte, frames int) {
	rest := e.payload[e.offset:]
	if e.segment == 0 || e.frames <= partFrames {
		return rest, e.frames
	}
	part := rest[:min(len(rest), partFrames*int(e.segment))]
	return part, max((len(part)+int(e.segment)-1)/int(e.segment), 1)
}

// relay makes the operation for a part.
func (e *entry) relay(payload []byte, frames int) *wsk.SendOp {
	e.state, e.part, e.now = under, len(payload), frames
	e.mdl.Init(payload)
	buf := wsk.Buf{Mdl: &e.mdl, Length: uintptr(len(payload))}
	e.irp.Reuse(wsk.STATUS_SUCCESS)
	e.irp.SetCompletionRoutine(completed, e, true, true, true)
	return e.irp.Relay(&e.to.to, &buf, e.segment)
}

// room is how many frames of a socket may be with the transport, so that each socket that sends finds room.
func (s *Server) room() int {
	return max(turns.Quantum, s.config.Chunks*len(s.pumps)/max(int(s.busy.Load()), 1))
}

// holdLeast is the least that a socket waits that is over its rate: a timer for each datagram would cost more than
// they.
const holdLeast = time.Millisecond

// throttle makes a socket's turn come again after a time.
type throttle struct {
	socket *socket
	mu     sync.Mutex
	timer  *time.Timer
	until  time.Time // the end of the waiting that is counted
	ended  bool
}

func (t *throttle) init(k *socket) { t.socket = k }

func (t *throttle) wait(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	now := time.Now()
	if t.until.Before(now) {
		t.until = now
	}
	if more := now.Add(d).Sub(t.until); more > 0 {
		t.until = t.until.Add(more)
		t.socket.quota.Grant().Counters.Throttled.Add(int64(more))
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.over)
		return
	}
	t.timer.Reset(d)
}

func (t *throttle) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.socket.member.Ready()
		t.socket.pump.Wake()
	}
}

func (t *throttle) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.timer != nil {
		t.timer.Stop()
	}
}
