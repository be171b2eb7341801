// SPDX-License-Identifier: Apache-2.0

package send

import "github.com/wsk-xdp/wsk-xdp/wsk"

// buildSegments cuts a buffer into datagrams of UDP_SEND_MSG_SIZE bytes, whose identifications run on by one. All of them
// have their headers from the flow's template, where everything is summed but lengths, identification and payload; the
// chain is walked once.
func (p *producer) buildSegments(op *wsk.SendOp, l *layout, n int) bool {
	t, pr := &op.Transport, progressOf(op)
	plan, err := l.Template.PlanSegments(n, int(op.Segment), l.mtu)
	if err != nil {
		t.Status = buildStatus(err)
		return false
	}
	if pr.piece == 0 {
		pr.id = uint32(p.ipID)
		p.ipID += uint16(plan.Count())
	}
	c := op.Bufs[pr.buf].Cursor(plan.At(pr.piece, 0).PayloadOffset)
	for ; pr.piece < plan.Count(); pr.piece++ {
		s := plan.At(pr.piece, uint16(pr.id))
		if !p.buildFrom(op, l, &c, s.PayloadLen, s.ID) {
			return false
		}
	}
	return true
}
