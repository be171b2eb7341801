// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// offer gives a path that is being made the right to leave its checksums to others, if that is proved, and starts the
// proof if it can be had on this path.
func (q *queue) offer(p *path, fl *frame.Flow, provable bool) {
	start, offset, ok := p.template.ChecksumOffload()
	if !ok {
		return // the flow sends none
	}
	p.proof = offload.KeyOf(fl)
	p.request = xdp.NewChecksumRequest(start, offset)
	grant, proved, begin := q.prover.Ask(p.proof, provable)
	if proved {
		p.offload = grant
	}
	if begin {
		probe := *fl
		q.host.GoRun(func() { q.prove(probe, p.proof, p.request, grant) })
	}
}

// promote lets the paths that exist already use what has just been proved.
func (q *queue) promote(key offload.Key, grant uint32) {
	for _, src := range q.host.sources() {
		src.flows.each(func(f *flow) {
			p := f.path.Load()
			if p == nil || p.queue != q || p.proof != key || p.request == (xdp.ChecksumRequest{}) {
				return
			}
			better := *p
			better.offload = grant
			f.path.CompareAndSwap(p, &better)
		})
	}
}

// catchUp is promote for a path that was being made while the proof ended, and that promote may not have seen.
func (q *queue) catchUp(f *flow, p *path) {
	if p.offload != 0 || p.request == (xdp.ChecksumRequest{}) {
		return
	}
	if grant, proved, _ := q.prover.Ask(p.proof, false); proved {
		better := *p
		better.offload = grant
		f.path.CompareAndSwap(p, &better)
	}
}

// publishRequest is publish with metadata in front of the frame.
func (q *queue) publishRequest(op *wsk.SendOp, idx uint32, frameLen int, r xdp.ChecksumRequest) {
	r.Put((*[xdp.TxMetadataLen]byte)(q.umem.Chunk(q.slots[idx].addr - xdp.TxMetadataLen)))
	at := q.publish(op, idx, frameLen)
	d := q.tx.At(at)
	d.Options = xdp.DescTxMetadata
	q.tx.Set(at, d)
	q.stats.offloaded++
}

// metadataRefused is called when the kernel refuses the descriptor at idx with EINVAL and reports whether metadata are to
// blame: the device's sockets then do without. The frame stays in the ring, and each such kick puts its address on the
// completion ring all the same (Linux 6.18): the slot disowns the address, so that the operation is not taken for sent and
// goes out again through the next socket. kickMu is held.
func (q *queue) metadataRefused(idx uint32) bool {
	d := q.tx.At(idx)
	if d.Options&xdp.DescTxMetadata == 0 {
		return false
	}
	q.dev.refuseMetadata()
	q.mu.Lock()
	defer q.mu.Unlock()
	if chunk, ok := q.umem.Index(d.Addr); ok && chunk < len(q.slots) && q.slots[chunk].addr == d.Addr {
		q.slots[chunk].addr += generationStep
	}
	return true
}
