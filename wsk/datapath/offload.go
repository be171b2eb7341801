// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// ChecksumMode says who computes UDP checksums. Whatever it is, this side does so until the other has proved that it can:
// see prover. Fragments are always summed here, since the sum covers more than the frame that carries it.
type ChecksumMode uint8

// Checksum modes.
const (
	// ChecksumAuto leaves the sum to the NIC where a zero-copy driver reports that it computes it (tx-checksum), and a proof
	// succeeded. In copy mode this side sums while it copies, which is cheaper than what the kernel would do.
	ChecksumAuto ChecksumMode = iota
	// ChecksumSoftware never leaves it to anybody, and sends no proof.
	ChecksumSoftware
	// ChecksumPartial is ChecksumAuto, and in copy mode frames are handed over as the kernel's own UDP sockets do it
	// (xdp.OffloadPartial). Worth trying on a NIC without zero-copy whose tx-checksumming is on.
	ChecksumPartial
	// ChecksumKernel is ChecksumAuto, and in copy mode the kernel sums on the processor (xdp.OffloadKernel). It is right on
	// every device and slower than ChecksumSoftware: it is there to test the way of the metadata.
	ChecksumKernel
)

// String names the mode as the CLI spells it.
func (m ChecksumMode) String() string {
	switch m {
	case ChecksumAuto:
		return "auto"
	case ChecksumSoftware:
		return "software"
	}
	return m.offload().String()
}

// offload is what the sockets of a datapath ask for.
func (m ChecksumMode) offload() xdp.Offload {
	switch m {
	case ChecksumSoftware:
		return xdp.OffloadNone
	case ChecksumPartial:
		return xdp.OffloadPartial
	case ChecksumKernel:
		return xdp.OffloadKernel
	}
	return xdp.OffloadDriver
}

// proofKey tells apart what is proved on its own: a driver may well find the checksum of one kind of frame and not of another.
type proofKey struct {
	six  bool
	tags uint8 // VLAN tags that are in the frame
}

func keyOf(fl *frame.Flow) proofKey {
	return proofKey{six: fl.Dst.Addr().Unmap().Is6(), tags: uint8(len(fl.VLANs))}
}

// offer gives a path that is being made the right to leave its checksums to others, if that is proved, and starts the
// proof if it can be had on this path.
func (q *queue) offer(p *path, fl *frame.Flow, provable bool) {
	start, offset, ok := p.template.ChecksumOffload()
	if !ok {
		return // the flow sends none
	}
	p.proof = keyOf(fl)
	p.request = xdp.NewChecksumRequest(start, offset)
	grant, proved, begin := q.prover.ask(p.proof, provable)
	if proved {
		p.offload = grant
	}
	if begin {
		probe := *fl
		q.host.goRun(func() { q.prove(probe, p.proof, p.request, grant) })
	}
}

// promote lets the paths that exist already use what has just been proved.
func (q *queue) promote(key proofKey, grant uint32) {
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
	if grant, proved, _ := q.prover.ask(p.proof, false); proved {
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

// OffloadInfo is what is known about one kind of frame on a queue whose socket may complete checksums.
type OffloadInfo struct {
	IPv6 bool
	Tags int // VLAN tags in the frame
	// Proved is whether the checksums of such frames are left to the other side.
	Proved bool
	// Why is the reason while it is not proved; nil while the proof runs.
	Why error
}

// verdict is how far a proof has come.
type verdict struct {
	proved, refuted, running bool
	tries                    int
	why                      error
}

// prover keeps the verdicts about a queue's socket, and makes sure that each proof runs once.
type prover struct {
	mu       sync.Mutex
	mode     xdp.Mode
	offload  xdp.Offload
	grant    uint32 // counts the grants that differ; 0: nothing is granted
	serial   uint32
	verdicts map[proofKey]*verdict
}

// proofTries bounds the destinations that are asked for a proof: where several in turn say nothing, a firewall does not
// let them.
const proofTries = 4

// adopt takes over what a new socket was granted and returns the number of that grant, 0 when there is none. Verdicts stay
// valid as long as the same is granted.
func (v *prover) adopt(g xdp.Granted) uint32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case g.Offload == xdp.OffloadNone:
		v.grant = 0
	case v.grant == 0 || g.Mode != v.mode || g.Offload != v.offload:
		v.serial++
		v.grant, v.verdicts = v.serial, make(map[proofKey]*verdict)
	}
	v.mode, v.offload = g.Mode, g.Offload
	return v.grant
}

// ask reports whether something is proved under the present grant. With provable it may answer that the caller is to begin the
// proof, which ends with a call of conclude.
func (v *prover) ask(key proofKey, provable bool) (grant uint32, proved, begin bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.grant == 0 {
		return 0, false, false
	}
	w := v.verdicts[key]
	if w == nil {
		w = &verdict{}
		v.verdicts[key] = w
	}
	if provable && !w.proved && !w.refuted && !w.running && w.tries < proofTries {
		w.running, w.why, begin = true, nil, true
		w.tries++
	}
	return v.grant, w.proved, begin
}

// conclude ends a proof and reports whether its result counts still. err is nil for success; refuted says that it was shown
// to be wrong rather than not shown.
func (v *prover) conclude(key proofKey, grant uint32, err error, refuted bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.verdicts[key]
	if grant != v.grant || w == nil {
		return false
	}
	w.running, w.proved, w.refuted, w.why = false, err == nil, refuted, err
	if errors.Is(err, errProbe) {
		w.tries-- // nobody was asked
	}
	return true
}

func (v *prover) info() []OffloadInfo {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.grant == 0 {
		return nil
	}
	var list []OffloadInfo
	for key, w := range v.verdicts {
		list = append(list, OffloadInfo{IPv6: key.six, Tags: int(key.tags), Proved: w.proved, Why: w.why})
	}
	return list
}
