// SPDX-License-Identifier: Apache-2.0

package service

import (
	"math/bits"
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// completed is the completion routine of every operation. A success that nothing waits for takes no lock.
func completed(irp *wsk.IRP, context any) wsk.NTSTATUS {
	e := context.(*entry)
	j := e.job
	k := j.socket
	status := irp.IoStatus.Status
	e.counted.Add(int64(-e.now))
	if status.Success() {
		if e.to.state.Load() != targetReached {
			e.to.state.Store(targetReached)
		}
		switch {
		case e.hasMore() || k.blocked.Load() != nil:
			k.finish(e, status, ipc.ReasonNone)
		case e.complete(status, ipc.ReasonNone):
			j.tell()
		case j.tardy.Load(): // looked at when the end has been noted, as the timer does it the other way round
			k.mu.Lock()
			j.rearmLocked()
			k.mu.Unlock()
		}
	} else {
		if status != wsk.STATUS_CANCELLED {
			e.to.state.Store(targetFailed)
		}
		k.finish(e, status, k.why(e, status))
	}
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// why is the reason of a failure of the transport.
func (k *socket) why(e *entry, status wsk.NTSTATUS) ipc.Reason {
	switch status {
	case wsk.STATUS_ACCESS_DENIED:
		return k.denials.find(&e.to.to)
	case wsk.STATUS_INVALID_BUFFER_SIZE:
		if e.whole {
			return ipc.ReasonFragment
		}
	}
	return reasonOf(status)
}

// finish is the end of an entry, or of a part of it. An entry of which parts have gone and others do not go any more has
// been cancelled.
func (k *socket) finish(e *entry, status wsk.NTSTATUS, reason ipc.Reason) {
	j := e.job
	k.mu.Lock()
	wake := k.unblockLocked()
	if status.Success() && e.hasMore() {
		if !k.aborted && !e.cut {
			e.offset += e.part
			e.state = waiting
			k.mu.Unlock()
			k.member.Ready()
			k.pump.Wake()
			return
		}
		status = wsk.STATUS_CANCELLED
	}
	if e.state == under && j.next < j.n && &j.entries[j.next] == e { // more of it was to come
		j.next++
		wake = true
	}
	e.state = over
	last := e.complete(status, reason)
	if !last {
		j.rearmLocked()
	}
	k.mu.Unlock()
	if last {
		j.tell()
	}
	if wake {
		k.member.Ready()
		k.pump.Wake()
	}
}

// unblockLocked reports whether the socket may go on that had too much with the transport. mu is held.
func (k *socket) unblockLocked() bool {
	blocked := k.blocked.Load()
	if blocked == nil || k.aborted || int(blocked.Load()) > k.room/2 {
		return false
	}
	k.blocked.Store(nil)
	return true
}

// tardiness is how long the completions of a SEND wait for the others.
const tardiness = time.Millisecond

// rearmLocked has the client told of what has completed since the timer has run. The socket's mu is held.
func (j *job) rearmLocked() {
	if j.active && !j.armed && j.tardy.Load() && j.over.Load()&^j.told != 0 {
		j.armed = true
		j.timer.Reset(tardiness)
	}
}

// complete notes the end of an entry, and reports whether it was the last of its job.
func (e *entry) complete(status wsk.NTSTATUS, reason ipc.Reason) (last bool) {
	j := e.job
	e.end = ipc.Completion{ID: e.id, Status: uint32(status), Reason: reason}
	if status.Success() {
		e.end.Bytes = uint32(len(e.payload))
	}
	all := j.all                    // once the bit is set the timer may end the job, and the next SEND fill it
	return j.over.Add(e.bit) == all // once for each bit, so that no sum carries
}

// tell sends the completions that there are. With the last of them the job is free. It is called when all have
// completed, and by the timer.
func (j *job) tell() {
	k := j.socket
	var t tally
	last := j.post(&t)
	for _, reason := range t.reasons[:t.n] {
		k.session.refused(reason)
	}
	if last {
		k.settle()
	}
}

// tally is what is counted of completions.
type tally struct {
	sent, bytes uint64
	n           int
	reasons     [ipc.MaxBatch]ipc.Reason
}

func (t *tally) add(c *ipc.Completion) {
	if c.Status == 0 {
		t.sent++
		t.bytes += uint64(c.Bytes)
	} else if c.Reason != ipc.ReasonNone {
		t.reasons[t.n] = c.Reason
		t.n++
	}
}

// post is tell under the lock of the outbox. It reports whether it was the last reply.
func (j *job) post(t *tally) (last bool) {
	k := j.socket
	n := k.session
	o := &n.out
	o.mu.Lock()
	defer o.mu.Unlock()
	k.mu.Lock()
	if !j.active { // the timer comes late: the job may be somebody's who is filling it
		k.mu.Unlock()
		return false
	}
	j.armed = false
	j.tardy.Store(true) // before the look: what completes after it sees that
	news := j.over.Load() &^ j.told
	if news == 0 {
		k.mu.Unlock()
		return false
	}
	j.told |= news
	o.done.Reset()
	o.done.Left = uint32(bits.OnesCount64(j.all &^ j.told))
	k.collect(j, news, t, &o.done)
	h := ipc.Header{Type: ipc.TypeSend, Seq: j.seq, Socket: k.id}
	last = j.told == j.all
	if last {
		k.releaseLocked(j)
	}
	k.mu.Unlock()
	c := &k.quota.Grant().Counters
	c.Sent.Add(t.sent) // before the client knows
	c.SentBytes.Add(t.bytes)
	if last {
		n.answered(h)
	}
	h.Type = h.Type.Reply()
	o.b = o.kept.add(h, &o.done, o.b)
	return last
}

// collect takes entries of a job that have completed out of what is in use, and makes them completions. mu is held.
func (k *socket) collect(j *job, news uint64, t *tally, done *ipc.Done) {
	var of *target // of the entries in a row that have one
	var row int32
	var inflight int
	for ; news != 0; news &= news - 1 {
		e := &j.entries[bits.TrailingZeros64(news)]
		done.Add(e.end)
		t.add(&e.end)
		e.payload = nil
		if e.to == nil {
			continue
		}
		inflight++
		if e.to != of {
			of.used(-row)
			of, row = e.to, 0
		}
		row++
	}
	of.used(-row)
	k.quota.GiveInflight(inflight)
}

// releaseLocked makes a job that is over free. It may still be in the queue, when its last entries were taken back or a
// part of one has failed: what stays there would be looked at while the next SEND fills it. mu is held.
func (k *socket) releaseLocked(j *job) {
	j.active, j.armed = false, false
	j.tardy.Store(false)
	j.timer.Stop()
	same := func(other *job) bool { return other == j }
	k.jobs = slices.DeleteFunc(k.jobs, same)
	k.queue = slices.DeleteFunc(k.queue, same)
	if len(k.jobs) == 0 {
		k.session.server.busy.Add(-1)
	}
	k.free = append(k.free, j)
}

// watch arms the timers of jobs that were handed over and are not done.
func (k *socket) watch() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range k.jobs {
		if j.next > 0 && !j.armed && !j.tardy.Load() {
			j.armed = true
			j.timer.Reset(tardiness)
		}
	}
}

// cancelQueued completes what has not been handed over.
func (k *socket) cancelQueued() {
	k.mu.Lock()
	var list []*entry
	for _, j := range k.queue {
		for i := j.next; i < j.n; i++ {
			if e := &j.entries[i]; e.state == waiting {
				e.state = over
				list = append(list, e)
			}
		}
		j.next = j.n
	}
	k.queue = k.queue[:0]
	k.mu.Unlock()
	for _, e := range list {
		k.finish(e, wsk.STATUS_CANCELLED, ipc.ReasonNone)
	}
}
