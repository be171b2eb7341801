// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// offer gives a path that is being made the right to leave its checksums to others, if that is proved, and starts the
// proof if it can be had on this path.
func (q *Queue) offer(p *Path, fl *frame.Flow, provable bool) {
	start, offset, ok := p.Template.ChecksumOffload()
	if !ok {
		return // the flow sends none
	}
	p.Proof = offload.KeyOf(fl)
	p.Request = xdp.NewChecksumRequest(start, offset)
	grant, proved, begin := q.Prover.Ask(p.Proof, provable)
	if proved {
		p.Offload = grant
	}
	if begin {
		probe := *fl
		q.host.GoRun(func() { q.prove(probe, p.Proof, p.Request, grant) })
	}
}

// Promote lets the paths that exist already use what has just been proved.
func (q *Queue) Promote(key offload.Key, grant uint32) {
	for _, src := range q.host.Sources() {
		src.Flows.Each(func(f *Flow) {
			p := f.Path.Load()
			if p == nil || p.Queue != q || p.Proof != key || p.Request == (xdp.ChecksumRequest{}) {
				return
			}
			better := *p
			better.Offload = grant
			f.Path.CompareAndSwap(p, &better)
		})
	}
}

// catchUp is promote for a path that was being made while the proof ended, and that promote may not have seen.
func (q *Queue) catchUp(f *Flow, p *Path) {
	if p.Offload != 0 || p.Request == (xdp.ChecksumRequest{}) {
		return
	}
	if grant, proved, _ := q.Prover.Ask(p.Proof, false); proved {
		better := *p
		better.Offload = grant
		f.Path.CompareAndSwap(p, &better)
	}
}

// publishRequest is publish with metadata in front of the frame.
func (q *Queue) publishRequest(op *wsk.SendOp, idx uint32, frameLen int, r xdp.ChecksumRequest) {
	r.Put((*[xdp.TxMetadataLen]byte)(q.Umem.Chunk(q.Slots[idx].addr - xdp.TxMetadataLen)))
	at := q.publish(op, idx, frameLen)
	d := q.Tx.At(at)
	d.Options = xdp.DescTxMetadata
	q.Tx.Set(at, d)
	q.stats.offloaded++
}

// metadataRefused is called when the kernel refuses the descriptor at idx with EINVAL and reports whether metadata are to
// blame: the device's sockets then do without. The frame stays in the ring, and each such kick puts its address on the
// completion ring all the same (Linux 6.18): the slot disowns the address, so that the operation is not taken for sent and
// goes out again through the next socket. KickMu is held.
func (q *Queue) metadataRefused(idx uint32) bool {
	d := q.Tx.At(idx)
	if d.Options&xdp.DescTxMetadata == 0 {
		return false
	}
	q.Dev.RefuseMetadata()
	q.Mu.Lock()
	defer q.Mu.Unlock()
	if chunk, ok := q.Umem.Index(d.Addr); ok && chunk < len(q.Slots) && q.Slots[chunk].addr == d.Addr {
		q.Slots[chunk].addr += generationStep
	}
	return true
}
