// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"errors"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// prove runs one proof and draws the conclusion.
func (q *queue) prove(fl frame.Flow, key offload.Key, r xdp.ChecksumRequest, grant uint32) {
	q.dev.proving().Lock()
	err := offload.Proof{
		Ctx: q.host.ctx, Within: q.host.inNetNS, Wait: q.host.proofWait,
		Send: func(t *frame.Template, payload []byte) bool { return q.sendProbe(t, payload, r, grant) },
	}.Try(fl)
	q.dev.proving().Unlock()
	if errors.Is(err, context.Canceled) {
		return
	}
	if !q.prover.Conclude(key, grant, err) {
		return
	}
	log := q.log.With("interface", q.dev.ifname(), "queue", q.id, "ipv6", key.IPv6, "vlan_tags", key.Tags, "asked", fl.Dst.Addr())
	if err != nil {
		log.Warn("checksum offload is granted but not proved; checksums are computed in software", "why", err)
		return
	}
	log.Info("checksum offload is proved and used from now on")
	q.promote(key, grant)
}

// sendProbe sends one frame whose checksum is left open, between those of the clients and like them. Its operation belongs to
// nobody: it is never built, so that its completion only gives the chunk back, and marked as one whose canceller is on the
// way, so that no list of a queue that stops or breaks takes it up.
func (q *queue) sendProbe(t *frame.Template, payload []byte, r xdp.ChecksumRequest, grant uint32) bool {
	op := &wsk.SendOp{Transport: wsk.SendState{Via: &flow{}}}
	progressOf(op).hold = holdExpected
	q.mu.Lock()
	if q.state != queueUp || q.offload != grant {
		q.mu.Unlock()
		return false
	}
	idx, mem, ok := q.takeChunk()
	if ok {
		copy(mem[t.HeaderLen():], payload)
		q.publishRequest(op, idx, t.PutHeadersPartial(mem, len(payload), q.nextID()), r)
		q.unpublished++
	}
	q.mu.Unlock()
	q.drive() // without a chunk the next round tries again
	return true
}
