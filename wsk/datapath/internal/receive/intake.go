// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Intake is what receivers know of an interface of Options.Receive: the XDP program that leads the frames of the
// ports in it to the interface's queues, and all else to the kernel, and what a frame is judged by.
type Intake struct {
	Hub     *Hub
	IfIndex int
	Name    string
	// Prog is set before the hub learns of the intake and queues of the interface are opened.
	Prog Program
	// FrameChunks is the most chunks of a frame that the program redirects. 0 is 1.
	FrameChunks int

	refreshing lockrank.Mutex[locks.Refreshing] // held while the identity and what the program knows of it are made anew
	identity   atomic.Pointer[identity]
	stations   []frame.MAC         // the interface takes frames for, besides its own; guarded by refreshing
	keys       map[bpf.Key]*keyUse // what sinks and memberships want redirected; guarded by hub.portsMu
}

// errFewChunks is said of a socket that would drop the longest frames that the program gives it.
var errFewChunks = errors.New("the kernel granted fewer chunks to a frame than the XDP program goes by")

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

// NewIntake is an intake without its program.
func NewIntake(hub *Hub, ifindex int, name string) *Intake {
	return &Intake{Hub: hub, IfIndex: ifindex, Name: name, keys: make(map[bpf.Key]*keyUse)}
}

// Refresh brings the program, and what frames are judged by, up to date with the routing table.
func (in *Intake) Refresh() {
	in.refreshing.Lock()
	defer in.refreshing.Unlock()
	id, told := identify(in.IfIndex, in.Hub.Routes.Devices(), in.Hub.Routes.Addresses(0), in.Hub.Rules)
	id.hearOf(in.stations)
	in.identity.Store(id) // what a frame is judged by comes before the frame
	err := errors.Join(in.Prog.SetVLANs(told.vlans), in.Prog.SetBroadcastAddresses(told.broadcasts),
		in.Prog.SetLocalAddresses(told.local))
	if err != nil && !errors.Is(err, bpf.ErrClosed) {
		in.Hub.Log.Error("tell the XDP program the host's addresses; some arrive through the kernel's stack instead",
			"interface", in.Name, "err", err)
	}
	in.Hub.portsMu.Lock()
	defer in.Hub.portsMu.Unlock()
	for key, use := range in.keys {
		in.settleLocked(key, use)
	}
}

// SetStations says which stations the interface takes frames for besides its own, and reports whether that is news, after which
// Refresh is due.
func (in *Intake) SetStations(stations []frame.MAC) (news bool) {
	in.refreshing.Lock()
	defer in.refreshing.Unlock()
	news = !slices.Equal(in.stations, stations)
	in.stations = stations
	return news
}

// serves reports whether frames of an interface come in here; 0 is any interface.
func (in *Intake) serves(ifindex uint32) bool { return in.identity.Load().serves(ifindex) }

func (in *Intake) setSocket(queue int, sock xdp.Queue) error {
	if g := sock.Granted(); in.FrameChunks > max(g.FrameChunks, 1) {
		return fmt.Errorf("%w: %d, not %d", errFewChunks, g.FrameChunks, in.FrameChunks)
	}
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
	in.Hub.portsMu.Lock()
	defer in.Hub.portsMu.Unlock()
	n := 0
	for _, use := range in.keys {
		if use.entered {
			n++
		}
	}
	return n
}
