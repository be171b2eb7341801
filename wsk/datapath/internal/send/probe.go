// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"errors"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/offload"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

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
