// SPDX-License-Identifier: Apache-2.0

package device

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// Info is an interface that frames leave through.
type Info struct {
	Interface string
	// PassProgram is whether an XDP program that passes everything is attached, because the driver wants one for zero-copy.
	PassProgram bool
	// LinkDrops is how often the link went down for an XDP program or a zero-copy bind; LinkWait how long that was waited out.
	LinkDrops int
	LinkWait  time.Duration
	// LinkLate is whether the last wait ended before the link was back.
	LinkLate bool
}

// ProgramInfo is an XDP program of Options.Receive and what it has done.
type ProgramInfo struct {
	Interface string
	// Mode is what the kernel granted, native or generic; Fallback why it is not native.
	Mode     bpf.Mode
	Fallback error
	Ports    int          // entries
	MaxFrame int          // longer frames go through the kernel's stack
	Counters bpf.Counters // frames by bpf.Reason
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
			list = append(list, OpenQueue{q, d.Halves[slot]})
		}
	}
	return list
}

func (d *Device) Info() Info {
	out := Info{Interface: d.name, PassProgram: d.Supplied()}
	out.LinkDrops, out.LinkWait, out.LinkLate = d.waits.snapshot()
	return out
}
