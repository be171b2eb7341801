// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"errors"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// prove runs one proof and draws the conclusion.
func (q *Queue) prove(fl frame.Flow, key offload.Key, r xdp.ChecksumRequest, grant uint32) {
	q.Dev.Proving().Lock()
	err := offload.Proof{
		Ctx: q.host.Ctx, Within: q.host.InNetNS, Wait: q.host.ProofWait,
		Send: func(t *frame.Template, payload []byte) bool { return q.SendProbe(t, payload, r, grant) },
	}.Try(fl)
	q.Dev.Proving().Unlock()
	if errors.Is(err, context.Canceled) {
		return
	}
	if !q.Prover.Conclude(key, grant, err) {
		return
	}
	log := q.log.With("interface", q.Dev.Name(), "queue", q.Id, "ipv6", key.IPv6, "vlan_tags", key.Tags, "asked", fl.Dst.Addr())
	if err != nil {
		log.Warn("checksum offload is granted but not proved; checksums are computed in software", "why", err)
		return
	}
	log.Info("checksum offload is proved and used from now on")
	q.Promote(key, grant)
}

// SendProbe sends one frame whose checksum is left open, between those of the clients and like them. Its operation belongs to
// nobody: it is never built, so that its completion only gives the chunk back, and marked as one whose canceller is on the
// way, so that no list of a queue that stops or breaks takes it up.
func (q *Queue) SendProbe(t *frame.Template, payload []byte, r xdp.ChecksumRequest, grant uint32) bool {
	op := &wsk.SendOp{Transport: wsk.SendState{Via: &Flow{}}}
	progressOf(op).hold = holdExpected
	q.Mu.Lock()
	if q.State != queueUp || q.Offload != grant {
		q.Mu.Unlock()
		return false
	}
	idx, mem, ok := q.takeChunk()
	if ok {
		copy(mem[t.HeaderLen():], payload)
		q.publishRequest(op, idx, t.PutHeadersPartial(mem, len(payload), q.nextID()), r)
		q.unpublished++
	}
	q.Mu.Unlock()
	q.Drive() // without a chunk the next round tries again
	return true
}
