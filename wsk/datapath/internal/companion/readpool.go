// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
)

// batchPool keeps the memory of companion sockets between their reads.
type batchPool struct{ pool sync.Pool }

func (p *batchPool) get(buffers *receive.Buffers) *batch {
	if b, _ := p.pool.Get().(*batch); b != nil {
		return b
	}
	b := newBatch()
	for i := range b.bufs {
		b.arm(i, buffers.Get(receive.FrameBuffer))
	}
	return b
}

func (p *batchPool) put(b *batch) { p.pool.Put(b) }
