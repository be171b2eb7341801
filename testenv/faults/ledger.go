// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"maps"
	"slices"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// ledger sums how far counters moved, over devices and sockets that come and go.
type ledger struct {
	last  account.Counters
	total map[string]account.Counter
}

func (l *ledger) start(w *world) (err error) {
	l.total = make(map[string]account.Counter)
	l.last, err = w.readCounters()
	return err
}

// note reads the counters: before a device goes, and its counters with it, and at the end.
func (l *ledger) note(w *world) error {
	now, err := w.readCounters()
	if err != nil {
		return err
	}
	for _, c := range now.Since(l.last) {
		sum := l.total[c.Name]
		c.Moved += sum.Moved
		l.total[c.Name] = c
	}
	l.last = now
	return nil
}

// evidence is what moved.
func (l *ledger) evidence() (out []account.Counter) {
	for _, name := range slices.Sorted(maps.Keys(l.total)) {
		out = append(out, l.total[name])
	}
	return out
}

func (w *world) readCounters() (account.Counters, error) {
	out := make(account.Counters)
	for name, ns := range map[string]*testenv.Namespace{"A ": w.lab.A.NS, "B ": w.lab.B.NS} {
		c, err := account.ReadCounters(ns)
		if err != nil {
			return nil, err
		}
		out.Add(name, c)
	}
	if r := w.lab.Router; r != nil {
		c, err := account.ReadCounters(r.NS)
		if err != nil {
			return nil, err
		}
		out.Add("R ", c)
	}
	out.Add("", w.extra)
	if w.provider != nil {
		addInfo(out, w.dp.Info())
		addSockets(out, w.receivers)
	}
	return out, nil
}

// addInfo adds what the datapath says that it has dropped of what it received.
func addInfo(out account.Counters, info datapath.Info) {
	out["WSK late"], out["WSK companion discarded"], out["WSK abandoned"] = info.Late, info.CompanionDiscarded, info.Abandoned
	for _, q := range info.Queues {
		r := q.Receive
		if r == nil {
			continue
		}
		name := fmt.Sprintf("WSK %s queue %d ", q.Interface, q.Queue)
		out[name+"unowned"], out[name+"other host"], out[name+"not joined"] = r.Unowned, r.OtherHost, r.NotJoined
		out[name+"refused"], out[name+"exhausted"] = r.Refused, r.Exhausted
		out[name+"foreign"] = r.Foreign
		for reason, n := range r.Malformed {
			out[fmt.Sprintf("%smalformed %d", name, reason)] = n
		}
	}
}

// addSockets adds what the sockets say of themselves, those that are closed too.
func addSockets(out account.Counters, sockets []*wsk.Socket) {
	for _, s := range sockets {
		st := s.ReceiveStatistics()
		out["WSK socket overflowed"] += st.Overflowed
		out["WSK socket filtered"] += st.Filtered
		out["WSK socket refused"] += st.Refused
		out["WSK socket discarded"] += st.Discarded
	}
}

// chunkKey names a queue.
func chunkKey(q *datapath.QueueInfo) string { return fmt.Sprintf("%s queue %d", q.Interface, q.Queue) }

// countChunks remembers how many chunks each queue has.
func (w *world) countChunks() {
	w.chunks = make(map[string]int)
	if w.provider == nil {
		return
	}
	for _, q := range w.dp.Info().Queues {
		w.chunks[chunkKey(&q)] = q.Free + q.InFlight
	}
}

// auditChunks is invariant I1: with nothing under way every chunk is in the pool. Returns what is not.
func (w *world) auditChunks() (leaks []string) {
	if w.provider == nil || w.closed {
		return nil
	}
	for _, q := range w.dp.Info().Queues {
		if q.State == "gone" || q.State == "rebuilding" {
			continue
		}
		if total := w.chunks[chunkKey(&q)]; q.InFlight != 0 || q.Waiting != 0 || total != 0 && q.Free != total {
			leaks = append(leaks, fmt.Sprintf("%s: %d of %d chunks free, %d in flight, %d operations waiting", chunkKey(&q), q.Free, total,
				q.InFlight, q.Waiting))
		}
		if r := q.Receive; r != nil && r.Lent != 0 {
			leaks = append(leaks, fmt.Sprintf("%s: %d chunks lent", chunkKey(&q), r.Lent))
		}
		if q.Foreign != 0 || q.Unpinned != 0 {
			leaks = append(leaks, fmt.Sprintf("%s: %d foreign completions, %d drops of nobody", chunkKey(&q), q.Foreign, q.Unpinned))
		}
	}
	return leaks
}
