// SPDX-License-Identifier: Apache-2.0

package service

import (
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// completed is the completion routine of every operation.
func completed(irp *wsk.IRP, context any) wsk.NTSTATUS {
	e := context.(*entry)
	k := e.job.socket
	status := irp.IoStatus.Status
	e.counted.Add(int64(-e.now))
	if status.Success() {
		if e.to.state.Load() != targetReached {
			e.to.state.Store(targetReached)
		}
		k.finish(e, status, ipc.ReasonNone)
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
	wake := k.blocked != nil && !k.aborted && int(k.blocked.Load()) <= k.room/2
	if wake {
		k.blocked = nil
	}
	bytes := 0
	switch {
	case !status.Success():
	case !e.hasMore():
		bytes = len(e.payload)
	case k.aborted || e.cut:
		status = wsk.STATUS_CANCELLED
	default:
		e.offset += e.part
		e.state = waiting
		k.mu.Unlock()
		k.member.Ready()
		k.pump.Wake()
		return
	}
	if e.state == under && j.next < j.n && &j.entries[j.next] == e { // more of it was to come
		j.next++
		wake = true
	}
	e.state = over
	e.to.busy.Add(-1)
	j.complete(e, status, bytes, reason)
	k.quota.GiveInflight(1)
	last := j.left == 0
	if !last && j.tardy && !j.armed {
		j.armed = true
		j.timer.Reset(tardiness)
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

// tardiness is how long the completions of a SEND wait for the others.
const tardiness = time.Millisecond

// complete notes the end of an entry. The socket's mu is held, or the job is not queued yet.
func (j *job) complete(e *entry, status wsk.NTSTATUS, bytes int, reason ipc.Reason) {
	e.payload = nil
	j.done[j.nDone] = ipc.Completion{ID: e.id, Status: uint32(status), Bytes: uint32(bytes), Reason: reason}
	j.nDone++
	j.left--
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
	j.armed, j.tardy = false, true
	if j.nDone == 0 {
		k.mu.Unlock()
		return false
	}
	o.done.Reset()
	for i := range j.done[:j.nDone] {
		o.done.Add(j.done[i])
		t.add(&j.done[i])
	}
	j.nDone = 0
	o.done.Left = uint32(j.left)
	h := ipc.Header{Type: ipc.TypeSend, Seq: j.seq, Socket: k.id}
	last = j.left == 0
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
	o.b = o.done.Append(h.Append(o.b[:0]))
	o.send(o.b)
	return last
}

// releaseLocked makes a job that is over free. It may still be in the queue, when its last entries were taken back or a
// part of one has failed: what stays there would be looked at while the next SEND fills it. mu is held.
func (k *socket) releaseLocked(j *job) {
	j.active, j.armed = false, false
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
		if j.next > 0 && !j.armed && !j.tardy {
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
