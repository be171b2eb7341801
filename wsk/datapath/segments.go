// SPDX-License-Identifier: Apache-2.0

package datapath

import "github.com/wsk-xdp/wsk-xdp/wsk"

// postSegments cuts a buffer into datagrams of UDP_SEND_MSG_SIZE bytes, whose identifications run on by one. All of them
// have their headers from the flow's template, where everything is summed but lengths, identification and payload; the
// chain is walked once.
func (q *queue) postSegments(op *wsk.SendOp, p *path, n int, built *uint32) bool {
	t := &op.Transport
	plan, err := p.template.PlanSegments(n, int(op.Segment), p.mtu)
	if err != nil {
		t.Status = buildStatus(err)
		return false
	}
	if t.Piece == 0 {
		t.ID = uint32(q.ipID)
		q.ipID += uint16(plan.Count())
	}
	c := op.Bufs[t.Buf].Cursor(plan.At(t.Piece, 0).PayloadOffset)
	for ; t.Piece < plan.Count(); t.Piece++ {
		s := plan.At(t.Piece, uint16(t.ID))
		if !q.putFrom(op, p, &c, s.PayloadLen, s.ID) {
			return false
		}
		*built++
	}
	return true
}
