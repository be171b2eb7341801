// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
)

// recvPool keeps the memory of companion sockets between their reads.
type recvPool struct{ pool sync.Pool }

func (p *recvPool) get(c *receive.Copies) *recvBatch {
	if b, _ := p.pool.Get().(*recvBatch); b != nil {
		return b
	}
	b := newRecvBatch()
	for i := range b.bufs {
		b.arm(i, c.Take(0))
	}
	return b
}

func (p *recvPool) put(b *recvBatch) { p.pool.Put(b) }
