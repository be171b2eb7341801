// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Program is the life of the XDP program on an interface of Options.Receive, which an intake is fed by.
type Program struct {
	*receive.Intake
	set      *Set
	Queues   int // receive queues with an AF_XDP socket
	maxFrame int

	closing sync.Once
	// lifeMu guards what load leaves on the interface against a device that is deleted meanwhile, whose close comes
	// first then.
	lifeMu   lockrank.Mutex[locks.LifeMu]
	closed   bool
	spreads  []spread
	hasher   flowHasher
	attached *bpf.Attachment // nil in tests without a kernel

	sight  sight
	unseen atomic.Bool // the program does not see VLAN tags

	guarding atomic.Bool // the program is being put back
	retryAt  time.Time   // the janitor's
}

// defaultRxChunks holds what arrives in a few milliseconds at full speed, while the receiver's goroutine is being
// woken.
const defaultRxChunks = 2048

func (set *Set) NewProgram(ifindex int, name string) *Program {
	in := receive.NewIntake(set.Hub, ifindex, name)
	return &Program{Intake: in, set: set, hasher: kernelHasher{}, sight: sight{log: set.Log, features: kernelFeatures{}}}
}

// OpenReceiving attaches the program to an interface and opens a socket on each of its receive queues.
func (set *Set) OpenReceiving(name string) error {
	rd, ok := set.Routes.DeviceByName(name)
	if !ok {
		return fmt.Errorf("receive on %s: no such interface in this network namespace", name)
	}
	if err := set.checkReceive(rd); err != nil {
		return fmt.Errorf("receive on %s: %w", name, err)
	}
	var facts nic.Interface
	err := set.InNetNS(func() (err error) {
		facts, err = nic.Inspect(name)
		return err
	})
	if err != nil {
		return fmt.Errorf("receive on %s: %w", name, err)
	}
	p := set.NewProgram(rd.Index, name)
	// A queue without a TX side can't have a socket of ours; its frames pass to the kernel.
	p.Queues = max(min(facts.RxQueues.N, facts.TxQueues.N), 1)
	d, err := set.NewReceivingDevice(rd, p)
	if err != nil {
		return fmt.Errorf("receive on %s: %w", name, err)
	}
	// The program first: some drivers give zero-copy only then. Whoever wants to send meanwhile waits for it too.
	if err = p.begin(d, facts.RxQueues.N); err != nil {
		d.retire()
	}
	d.Opening.Unlock()
	if err != nil {
		return fmt.Errorf("receive on %s: %w", name, err)
	}
	p.warnOfBareQueues()
	for slot := range p.Queues {
		if _, err := d.Open(slot); err != nil {
			return fmt.Errorf("receive on %s: %w", name, err)
		}
	}
	return nil
}

// checkReceive refuses an interface whose frames never reach the sockets of its queues. The driver of a bond runs the program
// on its ports, and the kernel gives a frame to no socket of another device than the one that it came in by: all would be lost.
func (set *Set) checkReceive(rd route.Device) error {
	if rd.Type != route.TypeBond {
		return nil
	}
	var ports []string
	for _, d := range set.Routes.Devices() {
		if d.Master == rd.Index {
			ports = append(ports, d.Name)
		}
	}
	if len(ports) == 0 {
		return errors.New("it is a bond, whose frames can only be received on its ports, and it has none")
	}
	slices.Sort(ports)
	return fmt.Errorf("it is a bond, whose frames can only be received on its ports: name %s instead", strings.Join(ports, " and "))
}

// begin makes the program one that the queues of its device can be opened on. The device's opening is held.
func (p *Program) begin(d *Device, queues int) error {
	if err := p.load(d, queues); err != nil {
		return err
	}
	p.lookForOthers()
	p.Refresh()
	if !p.Hub.Add(p.Intake, p.IsClosed) {
		return errDeviceGone
	}
	p.Refresh() // an address may have come before it was known
	return nil
}

// load puts the program into the kernel and on the interface.
func (p *Program) load(d *Device, queues int) error {
	o := d.SocketOptions(0)
	room := chunkSize(&o) - kernelHeadroom - int(o.Headroom)
	before := d.LinkNow()
	return p.set.InNetNS(func() error {
		facts, err := nic.Inspect(p.Name)
		if err != nil {
			return err
		}
		unseen, err := p.lookForTags(facts.Type)
		if err != nil {
			return err
		}
		if p.FrameChunks, err = frameChunks(&o, &facts, room, copyChunks); err != nil {
			p.set.Log.Info("frames that no chunk holds come through the kernel's stack", "interface", p.Name, "why", err)
		}
		p.maxFrame = min(p.FrameChunks*room, receive.LongestFrame)
		opts := bpf.Options{Queues: max(queues, p.Queues), MaxFrame: p.maxFrame, MultiBuffer: p.FrameChunks > 1}
		prog, a, unseen, err := attachSeeing(opts, &facts, p.set.Opts.ReceiveMode, p.set.Opts.TagsUnseen, unseen)
		if err != nil {
			return err
		}
		if unseen != nil {
			p.unseen.Store(true)
			p.set.Log.Warn("VLAN tags are not seen", "interface", p.Name, "why", unseen)
		}
		if !p.keep(prog, a) {
			return errors.Join(errDeviceGone, prog.Close())
		}
		if why := a.Fallback(); why != nil {
			p.set.Log.Info("the XDP program runs in generic mode", "interface", p.Name, "why", why)
		}
		if a.Mode() == bpf.Native {
			d.awaitCarrier(p.set.Ctx, before, "attaching the XDP program")
		}
		if p.set.Opts.SpreadReceive && p.Queues > 1 {
			p.spreadFlows()
		}
		return nil
	})
}

// keep notes what was attached for close, or reports that there has been one already.
func (p *Program) keep(prog receive.Program, a *bpf.Attachment) bool {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	if !p.closed {
		p.Prog, p.attached = prog, a
	}
	return !p.closed
}

// lookForTags is sight.look, unless there has been a close already. Close undoes it.
func (p *Program) lookForTags(kind string) (*unseenTags, error) {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	if p.closed {
		return nil, errDeviceGone
	}
	return p.sight.look(p.IfIndex, p.Name, kind, p.set.Routes.Devices()), nil
}

// restoreTags gives a NIC the VLAN tags back, unless the interface is gone.
func (p *Program) restoreTags() {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	if len(p.sight.taken) == 0 {
		return
	}
	err := p.set.InNetNS(func() error {
		name, err := p.hasher.nameOf(p.IfIndex)
		if err != nil || name == "" {
			return err
		}
		return p.sight.restore(name)
	})
	if err != nil {
		p.set.Log.Warn("give VLAN tags back to the NIC: ethtool -K NAME rx-vlan-offload on does it", "interface", p.Name, "err", err)
	}
}

// lookForOthers looks which stations the interface takes frames for, and reports whether there is news.
func (p *Program) lookForOthers() bool {
	var stations []frame.MAC
	err := p.set.InNetNS(func() error {
		list, err := nic.Stations(p.IfIndex)
		for _, a := range list {
			stations = append(stations, frame.MAC(a))
		}
		return err
	})
	if err != nil {
		p.set.Log.Debug("look who else receives", "interface", p.Name, "err", err)
		return false
	}
	return p.SetStations(stations)
}

// Attachment is where the program is attached now.
func (p *Program) attachment() *bpf.Attachment {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	return p.attached
}

func (p *Program) isLoaded() bool {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	return p.Prog != nil
}

func (p *Program) IsClosed() bool {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	return p.closed
}

// warnOfBareQueues tells of receive queues that have no AF_XDP socket for want of a transmit queue. What comes in
// there passes to the kernel and the companion sockets. They are counted with the program attached, for which
// virtio-net adds some.
func (p *Program) warnOfBareQueues() {
	var facts nic.Interface
	err := p.set.InNetNS(func() (err error) {
		facts, err = nic.Inspect(p.Name)
		return err
	})
	if err == nil && facts.RxQueues.N > p.Queues {
		p.set.Log.Warn("receive queues without a transmit queue have no AF_XDP socket; "+
			"their frames go through the kernel's stack",
			"interface", p.Name, "receive", facts.RxQueues.String(), "transmit", facts.TxQueues.String())
	}
}

func (p *Program) spreadFlows() {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	if !p.closed {
		p.spreads = spreadFlows(p.set.Log, p.hasher, p.Name)
	}
}

func (p *Program) restoreFlows() {
	p.lifeMu.Lock()
	spreads := p.spreads
	p.spreads = nil
	p.lifeMu.Unlock()
	for _, s := range spreads {
		err := p.set.InNetNS(func() error { return s.restore(p.hasher, p.IfIndex) })
		if err != nil && !errors.Is(err, xdp.ErrNotSupported) {
			p.set.Log.Warn("restore the UDP flow hash", "interface", p.Name, "ipv6", s.ipv6,
				"before", s.before.String(), "err", err)
		}
	}
}

// kernelHeadroom is XDP_PACKET_HEADROOM, which the kernel leaves in front of each received frame.
const kernelHeadroom = 256

func (p *Program) Close() {
	p.closing.Do(func() {
		p.lifeMu.Lock()
		p.closed = true
		prog := p.Prog
		p.lifeMu.Unlock()
		p.Hub.Remove(p.Intake)
		p.restoreFlows()
		if prog != nil {
			if err := prog.Close(); err != nil {
				p.set.Log.Debug("close XDP program", "interface", p.Name, "err", err)
			}
		}
		p.restoreTags()
	})
}
