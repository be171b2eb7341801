// SPDX-License-Identifier: Apache-2.0

package device

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// Info is an interface that frames leave through.
type Info struct {
	Interface string
	// PassProgram is whether an XDP program that passes everything is attached, because the driver wants one for
	// zero-copy.
	PassProgram bool
	// LinkDrops is how often the link went down for an XDP program or a zero-copy bind; LinkWait how long that was
	// waited out.
	LinkDrops int
	LinkWait  time.Duration
	// LinkLate is whether the last wait ended before the link was back.
	LinkLate bool
}

// OpenQueue is a queue that is open, with its receiving half, nil where there is none.
type OpenQueue struct {
	Queue *send.Queue
	Half  *receive.Queue
}

// OpenQueues lists the queues that are open.
func (d *Device) OpenQueues() (list []OpenQueue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for slot, q := range d.queues {
		if q != nil {
			list = append(list, OpenQueue{q, d.halves[slot]})
		}
	}
	return list
}

func (d *Device) Info() Info {
	out := Info{Interface: d.ifname, PassProgram: d.passProgram.on.Load()}
	out.LinkDrops, out.LinkWait, out.LinkLate = d.waits.snapshot()
	return out
}
