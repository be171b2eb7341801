// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Intake is what receivers know of an interface of Options.Receive: the XDP program that leads the frames of the ports in
// it to the interface's queues, and all else to the kernel, and what a frame is judged by.
type Intake struct {
	Hub     *Hub
	IfIndex int
	Name    string
	// Prog is set before the hub adopts the intake and queues of the interface are opened.
	Prog Program

	refreshing lockrank.Mutex[locks.Refreshing] // held while arrivals and what the program knows of addresses are made anew
	Arrivals   atomic.Pointer[arrivals]

	// Refs counts the port entries by key. Guarded by hub.PortsMu.
	Refs map[bpf.Key]int
}

// Program is what an intake needs of bpf.Program.
type Program interface {
	AddPort(bpf.Key, bpf.Flags) error
	RemovePort(bpf.Key) error
	SetSocket(queue, fd int) error
	ClearSocket(queue int) error
	SetLocalAddresses(addrs []netip.Addr) error
	SetBroadcastAddresses(addrs []netip.Addr) error
	SetVLANs(ids []uint16) error
	Counters() (bpf.Counters, error)
	Close() error
}

func (in *Intake) setSocket(queue int, sock xdp.Queue) error {
	fd := -1
	if split, ok := sock.(splitSocket); ok {
		fd = split.RXFD()
	}
	return in.Prog.SetSocket(queue, fd)
}

func (in *Intake) clearSocket(queue int) {
	if err := in.Prog.ClearSocket(queue); err != nil && !errors.Is(err, bpf.ErrClosed) {
		in.Hub.Log.Warn("take a socket out of the XDP program", "interface", in.Name, "queue", queue, "err", err)
	}
}

// Ports is the number of entries in the program.
func (in *Intake) Ports() int {
	in.Hub.PortsMu.Lock()
	defer in.Hub.PortsMu.Unlock()
	return len(in.Refs)
}
