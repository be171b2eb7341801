// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/tally"
)

// What a sink does whose packets are accounted for in the kernel: it looks there whenever it is asked something.

// kernelHalf is the source of such a sink.
type kernelHalf struct {
	program *tally.Program
	totals  tally.Totals // as far as they are among the sink's
	clock   bool         // it is that of stamps
}

// look brings in what has come since the last look. The sink's mutex is held, as it is for what follows.
func (k *kernelHalf) look(s *Sink) {
	s.now = time.Now()
	for _, t := range k.program.Found() {
		k.found(s, t)
	}
	for _, r := range s.runs {
		r.progressOfKernel()
	}
	k.program.Late(s.take)
	for _, r := range s.ended {
		if r.kernel != nil && r.said && s.now.Sub(r.last) >= stragglers {
			k.forget(s, r)
		}
	}
	t := k.program.Totals()
	s.counts.Packets += t.Packets - k.totals.Packets
	s.counts.Bytes += t.Bytes - k.totals.Bytes
	s.counts.Foreign += t.Foreign - k.totals.Foreign
	s.counts.Warmup += t.Warmup - k.totals.Warmup
	k.totals = t
	k.makeRoom(s)
}

// found enters a run that packets have begun. Where it is announced by now, they came before that, and were of another one.
func (k *kernelHalf) found(s *Sink, t *tally.Run) {
	r := &run{id: t.ID, account: t, kernel: t, begun: s.now, last: s.now, foreign: s.counts.Foreign}
	if s.runs[t.ID] != nil {
		s.finish(r)
		return
	}
	s.runs[t.ID] = r
}

// account begins a run there that a sender has announced; others begin there by themselves.
func (k *kernelHalf) account(s *Sink, r *run) bool {
	if r.hello == nil {
		return false
	}
	a := tally.Announced{Smallest: r.hello.Smallest, Largest: r.hello.Largest, Timed: r.hello.shared && k.clock}
	if s.verify == VerifyPayload {
		a.Payload = r.hello.Payload
	}
	t := k.program.Begin(r.id, a)
	if t == nil && s.evict(true) { // one that packets have begun since the last look may have been the last
		t = k.program.Begin(r.id, a)
	}
	if t == nil {
		return false
	}
	r.account, r.kernel = t, t
	return true
}

// makeRoom ends runs before there is no room for others, which the kernel would not wait for.
func (k *kernelHalf) makeRoom(s *Sink) {
	runs, streams, all := k.program.Room()
	served := false
	for _, r := range s.runs {
		served = served || r.served
	}
	switch {
	case streams < min(stamp.Streams, all/4):
		s.evict(served)
	case runs == 0:
		s.evict(false)
	}
}

// forgetInKernel lets what comes of a run that has ended begin another, unless that has been and has ended, too.
func (k *kernelHalf) forget(s *Sink, r *run) {
	if r.kernel == nil || !r.said || r.forgotten {
		return
	}
	r.forgotten = true
	for _, other := range s.ended {
		if other != r && other.id == r.id && other.said && !other.forgotten {
			return
		}
	}
	k.program.Forget(r.id)
}
