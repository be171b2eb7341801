// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"errors"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// offerOffload gives a path that is being made the right to leave its checksums to others, if that is proved, and starts
// the proof if it can be had on this path.
func (p *Path) offerOffload(fl *frame.Flow, provable bool) {
	start, offset, ok := p.Template.ChecksumOffload()
	if !ok {
		return // the flow sends none
	}
	p.proof = offload.KeyOf(fl)
	p.request = xdp.NewChecksumRequest(start, offset)
	q := p.queue
	grant, proved, begin := q.prover.Ask(p.proof, provable)
	if proved {
		p.offload = grant
	}
	if begin {
		t := trial{q: q, flow: *fl, key: p.proof, request: p.request, grant: grant}
		q.host.GoRun(t.run)
	}
}

// promote lets the paths that exist already use what has just been proved.
func promote(q *Queue, key offload.Key, grant uint32) {
	for _, src := range q.host.Sources() {
		src.flows.eachPath(func(f *Flow) {
			if p := f.path.Load(); p != nil && p.queue == q && p.proof == key {
				f.improve(p, grant)
			}
		})
	}
}

// catchUp is promote for a path that was being made while the proof ended, and that promote may not have seen.
func (f *Flow) catchUp(p *Path) {
	if p.queue == nil || p.offload != 0 {
		return
	}
	if grant, proved, _ := p.queue.prover.Ask(p.proof, false); proved {
		f.improve(p, grant)
	}
}

// improve lets the path of a flow leave its checksums to others.
func (f *Flow) improve(p *Path, grant uint32) {
	if p.request == (xdp.ChecksumRequest{}) {
		return
	}
	better := *p
	better.offload = grant
	f.path.CompareAndSwap(p, &better)
}

// metadataRefused is called when the kernel refuses the descriptor at idx with EINVAL and reports whether metadata are to
// blame: the device's sockets then do without. The frame stays in the ring, and each such kick puts its address on the
// completion ring all the same (Linux 6.18): the slot disowns the address, so that the operation is not taken for sent and
// goes out again through the next socket. kickMu is held.
func (q *Queue) metadataRefused(idx uint32) bool {
	d := q.tx.ring.At(idx)
	if d.Options&xdp.DescTxMetadata == 0 {
		return false
	}
	q.dev.RefuseMetadata()
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, s := q.tx.slotOf(d.Addr); s != nil {
		s.renew()
	}
	return true
}

// A trial is one proof that the socket of a queue completes checksums.
type trial struct {
	q       *Queue
	flow    frame.Flow
	key     offload.Key
	request xdp.ChecksumRequest
	grant   uint32
}

// run tries it and draws the conclusion.
func (t *trial) run() {
	q := t.q
	q.dev.Proving().Lock()
	err := offload.Proof{Ctx: q.host.Ctx, Within: q.host.InNetNS, Wait: q.host.ProofWait, Send: t.send}.Try(t.flow)
	q.dev.Proving().Unlock()
	if errors.Is(err, context.Canceled) {
		return
	}
	if !q.prover.Conclude(t.key, t.grant, err) {
		return
	}
	log := q.log.With("interface", q.dev.Name(), "queue", q.id, "ipv6", t.key.IPv6, "vlan_tags", t.key.Tags, "asked", t.flow.Dst.Addr())
	if err != nil {
		log.Warn("checksum offload is granted but not proved; checksums are computed in software", "why", err)
		return
	}
	log.Info("checksum offload is proved and used from now on")
	promote(q, t.key, t.grant)
}

// send sends one frame whose checksum is left open, between those of the clients and like them. The poller kicks: what comes
// back with it belongs to clients, and no lock is held over their completion routines.
func (t *trial) send(template *frame.Template, payload []byte) bool {
	q := t.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state != queueUp || q.tx.offload != t.grant {
		return false
	}
	if idx, mem, ok := q.tx.take(); ok { // without a chunk the next round tries again
		copy(mem[template.HeaderLen():], payload)
		q.tx.putProbe(idx, template.PutHeadersPartial(mem, len(payload), q.tx.nextID()), t.request)
		q.poll.wake()
	}
	return true
}
