// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// deviceInfo is an interface that frames leave through.
type deviceInfo struct {
	Interface string
	// PassProgram is whether an XDP program that passes everything is attached, because the driver wants one for zero-copy.
	PassProgram bool
	// LinkDrops is how often the link went down for an XDP program or a zero-copy bind; LinkWait how long that was waited out.
	LinkDrops int
	LinkWait  time.Duration
	// LinkLate is whether the last wait ended before the link was back.
	LinkLate bool
}

// programInfo is an XDP program of Options.Receive and what it has done.
type programInfo struct {
	Interface string
	// Mode is what the kernel granted, native or generic; Fallback why it is not native.
	Mode     bpf.Mode
	Fallback error
	Ports    int          // entries
	MaxFrame int          // longer frames go through the kernel's stack
	Counters bpf.Counters // frames by bpf.Reason
}

// openedQueue is a queue that is open, with its receiving half, nil where there is none.
type openedQueue struct {
	queue *send.Queue
	half  *receive.Queue
}

// openQueues lists the queues that are open.
func (d *device) openQueues() (list []openedQueue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for slot, q := range d.queues {
		if q != nil {
			list = append(list, openedQueue{q, d.halves[slot]})
		}
	}
	return list
}

func (d *device) info() deviceInfo {
	out := deviceInfo{Interface: d.name, PassProgram: d.supplied()}
	out.LinkDrops, out.LinkWait, out.LinkLate = d.waits.snapshot()
	return out
}
