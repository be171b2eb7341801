// SPDX-License-Identifier: Apache-2.0

package datapath

import "sync"

// recvPool keeps the memory of companion sockets between their reads.
type recvPool struct{ pool sync.Pool }

func (p *recvPool) get(c *copies) *recvBatch {
	if b, _ := p.pool.Get().(*recvBatch); b != nil {
		return b
	}
	b := newRecvBatch()
	for i := range b.bufs {
		b.arm(i, c.take(0))
	}
	return b
}

func (p *recvPool) put(b *recvBatch) { p.pool.Put(b) }
