// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// intake is what receivers know of an interface of Options.Receive: the XDP program that leads the frames of the ports in
// it to the interface's queues, and all else to the kernel, and what a frame is judged by.
type intake struct {
	hub     *hub
	ifindex int
	name    string
	// prog is set before the hub adopts the intake and queues of the interface are opened.
	prog redirector

	refreshing lockrank.Mutex[locks.Refreshing] // held while arrivals and what the program knows of addresses are made anew
	arrivals   atomic.Pointer[arrivals]

	// refs counts the port entries by key. Guarded by hub.portsMu.
	refs map[bpf.Key]int
}

// redirector is what an intake needs of bpf.Program.
type redirector interface {
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

func (in *intake) setSocket(queue int, sock xdp.Queue) error {
	fd := -1
	if split, ok := sock.(splitSocket); ok {
		fd = split.RXFD()
	}
	return in.prog.SetSocket(queue, fd)
}

func (in *intake) clearSocket(queue int) {
	if err := in.prog.ClearSocket(queue); err != nil && !errors.Is(err, bpf.ErrClosed) {
		in.hub.log.Warn("take a socket out of the XDP program", "interface", in.name, "queue", queue, "err", err)
	}
}

// ports is the number of entries in the program.
func (in *intake) ports() int {
	in.hub.portsMu.Lock()
	defer in.hub.portsMu.Unlock()
	return len(in.refs)
}
