// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// room is the part of a side that bounds what was written and has not left yet, as SO_SNDBUF does for a socket of Linux.
// The side's mutex guards it.
type room struct {
	limit   int // of bytes
	bytes   int
	waiters int
	oldest  *op // of the copies under way, in the order of the calls
	newest  *op

	ticking bool // tick is set
	tick    *time.Timer

	parked  int  // of them, see parked.go
	looking bool // look is set
	look    *time.Timer
}

const (
	// defaultWriteBuffer is net.core.wmem_default of Linux.
	defaultWriteBuffer = 212992
	// copyOverhead is what a datagram counts besides its bytes: the operation that carries it.
	copyOverhead = 256
)

func (r *room) allHeld() bool {
	for o := r.oldest; o != nil; o = o.newer {
		if !o.parked && o.irp.SendProgress() != wsk.SendHeld {
			return false
		}
	}
	return true
}

func (r *room) add(o *op) {
	r.bytes += o.cost
	o.older, o.newer = r.newest, nil
	if r.newest == nil {
		r.oldest = o
	} else {
		r.newest.newer = o
	}
	r.newest = o
}

func (r *room) remove(o *op) {
	r.bytes -= o.cost
	if o.older == nil {
		r.oldest = o.newer
	} else {
		o.older.newer = o.newer
	}
	if o.newer == nil {
		r.newest = o.older
	} else {
		o.newer.older = o.older
	}
	o.older, o.newer = nil, nil
}
