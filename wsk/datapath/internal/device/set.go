// SPDX-License-Identifier: Apache-2.0

package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Set is the interfaces of one datapath that frames leave through or come in by.
type Set struct {
	Log     *slog.Logger
	Ctx     context.Context // done when the datapath closes
	GoRun   func(func())    // starts a goroutine that Close waits for
	InNetNS func(func() error) error
	Routes  Routes
	Opts    Options
	Senders *send.Host
	Hub     *receive.Hub
	Open    func(d *Device, id int) (xdp.Queue, error)
	Changed func() // called when what is known of devices may have changed

	Mu      lockrank.Mutex[locks.DevicesMu]
	closed  bool
	Devices map[int]*Device
	Missing revivals
	// announced is what drivers said that they can when the datapath was opened, by interface; nil where nobody has asked.
	announced atomic.Pointer[map[int]nic.Device]
}

// Options are those of Options that concern devices.
type Options struct {
	Queues        int
	Socket        xdp.Options
	Offload       xdp.Offload
	ReceiveMode   bpf.Mode
	SpreadReceive bool
	TagsUnseen    bool
	StandIn       bool // the kernel's stack sends while a queue is being opened
}

// Routes is what devices need of the routing table, [route.Table].
type Routes interface {
	DeviceByName(name string) (route.Device, bool)
	Devices() []route.Device
	Transmit(hop route.Hop, tos uint8) (route.Egress, route.Obstacle)
	PoliciesUnreadable() error
}

// ErrClosed is what a datapath says that has been closed.
var ErrClosed = errors.New("datapath is closed")

var errReceivesTwice = errors.New("the interface is named twice")

func (set *Set) Known(ifindex int) *Device {
	set.Mu.Lock()
	defer set.Mu.Unlock()
	return set.Devices[ifindex]
}

func (set *Set) deviceFor(rd route.Device) (*Device, error) {
	if d := set.Known(rd.Index); d != nil {
		return d, nil
	}
	if set.Awaits(rd.Name) {
		return nil, errAwaitsReceiving
	}
	queues := set.sendingQueues(rd)
	set.Mu.Lock()
	defer set.Mu.Unlock()
	if set.closed {
		return nil, ErrClosed
	}
	d := set.Devices[rd.Index]
	if d == nil {
		d = set.NewDevice(rd, queues, nil)
		set.Devices[rd.Index] = d
	}
	return d, nil
}

// sendingQueues is the number of queues to send through: no more than are in use, of which routing tables know
// nothing. A socket on another would be granted, and nothing ever sent.
func (set *Set) sendingQueues(rd route.Device) int {
	n := min(set.Opts.Queues, max(rd.TxQueues, 1))
	if n == 1 {
		return n
	}
	err := set.InNetNS(func() error {
		facts, err := nic.Inspect(rd.Name)
		if err == nil && facts.Index == rd.Index {
			n = min(n, max(facts.TxQueues.N, 1))
		}
		return err
	})
	if err != nil {
		set.Log.Debug("count transmit queues", "interface", rd.Name, "err", err)
	}
	return n
}

func (set *Set) NewDevice(rd route.Device, slots int, p *Program) *Device {
	d := &Device{
		link: link{log: set.Log, inNetNS: set.InNetNS, Index: rd.Index, ifname: rd.Name},
		set:  set, mtu: rd.MTU, program: p, sending: slots,
	}
	if p != nil {
		slots = max(slots, p.Queues)
	}
	d.queues, d.halves, d.failures = make([]*send.Queue, slots), make([]*receive.Queue, slots), make([]failure, slots)
	d.fragmentID.Store(rand.Uint32())
	return d
}

// NewReceivingDevice makes the device of an interface that is to receive, before anything is sent through it. Its
// opening is held: the caller lets go of it when the program is there, or has retired the device.
func (set *Set) NewReceivingDevice(rd route.Device, p *Program) (*Device, error) {
	d := set.NewDevice(rd, set.sendingQueues(rd), p)
	d.Opening.Lock() // before set.mu, as everywhere; nobody else knows it yet
	if err := set.enter(d); err != nil {
		d.Opening.Unlock()
		return nil, err
	}
	return d, nil
}

// enter makes a device known that nothing has been sent through yet.
func (set *Set) enter(d *Device) error {
	set.Mu.Lock()
	defer set.Mu.Unlock()
	switch {
	case set.closed:
		return ErrClosed
	case set.Devices[d.Index] != nil:
		return errReceivesTwice
	}
	set.Devices[d.Index] = d
	return nil
}

// OpenInterface opens every queue that frames of a named interface leave through, for callers who will not have the kernel's
// stack instead.
func (set *Set) OpenInterface(name string) error {
	rd, ok := set.Routes.DeviceByName(name)
	if !ok {
		return fmt.Errorf("open interface %s: no such interface in this network namespace", name)
	}
	egress, obstacle := set.Routes.Transmit(route.Hop{Kind: route.Unicast, Interface: rd.Index, Device: rd}, 0)
	if obstacle.ID == route.NoObstacle && set.Routes.PoliciesUnreadable() != nil {
		obstacle.ID = route.ObstaclePolicies
	}
	if obstacle.ID != route.NoObstacle {
		return fmt.Errorf("open interface %s: AF_XDP can't send there: %v", name, obstacle)
	}
	d, err := set.deviceFor(egress.Device)
	if err != nil {
		return err
	}
	for slot := range d.queues {
		q, err := d.Open(slot)
		if err == nil {
			err = checkMTU(q, rd)
		}
		if err != nil {
			return fmt.Errorf("open interface %s: %w", name, err)
		}
	}
	return nil
}

func (set *Set) Each(do func(*Device)) {
	set.Mu.Lock()
	devices := make([]*Device, 0, len(set.Devices))
	for _, d := range set.Devices {
		devices = append(devices, d)
	}
	set.Mu.Unlock()
	slices.SortFunc(devices, func(a, b *Device) int { return cmp.Compare(a.Index, b.Index) })
	for _, d := range devices {
		do(d)
	}
}

func (set *Set) EachQueue(do func(*send.Queue)) {
	set.Each(func(d *Device) {
		for _, q := range d.Opened() {
			do(q)
		}
	})
}

// Remove forgets the device of an interface that was deleted, for the caller to dismantle; nil if it was not known.
// One that was received on is awaited from now on.
func (set *Set) Remove(ifindex int) *Device {
	set.Mu.Lock()
	defer set.Mu.Unlock()
	return set.removeLocked(set.Devices[ifindex])
}

// RemoveLost is Remove for a device of which a queue has ended by itself. Netlink may never tell that its interface is
// gone: events are lost, and what the whole table then says of an interface with the same index may be no different.
func (set *Set) RemoveLost() (lost []*Device) {
	set.Each(func(d *Device) {
		if !d.hasLostQueue() {
			return
		}
		set.Mu.Lock()
		defer set.Mu.Unlock()
		if set.Devices[d.Index] == d && !set.closed {
			lost = append(lost, set.removeLocked(d))
		}
	})
	return lost
}

func (set *Set) removeLocked(d *Device) *Device {
	if d == nil {
		return nil
	}
	delete(set.Devices, d.Index)
	if d.program != nil {
		set.awaitLocked(d.program.Name)
	}
	set.Log.Warn("interface deleted", "interface", d.ifname, "index", d.Index)
	return d
}

// Programs lists the XDP programs that receivers are fed by, once they are loaded.
func (set *Set) Programs() (list []*Program) {
	set.Each(func(d *Device) {
		if d.program != nil && d.program.isLoaded() {
			list = append(list, d.program)
		}
	})
	return list
}

// Nudge wakes the drivers that have run dry of memory to receive into.
func (set *Set) Nudge() {
	set.Each(func(d *Device) {
		for _, r := range d.Received() {
			r.Nudge()
		}
	})
}

// Close gives back everything that is open on every device, and lets nothing be opened any more.
func (set *Set) Close() {
	set.Mu.Lock()
	set.closed = true
	set.Mu.Unlock()
	set.Each((*Device).retire)
	// Each queue leaves the program before its socket goes, so that no frame is lost; the program goes last, since a
	// zero-copy driver resets the device for it and should not have our memory in its rings then.
	set.EachQueue(func(q *send.Queue) { q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED) })
	set.Each(func(d *Device) {
		if d.program != nil {
			d.program.Close()
		}
	})
	set.Each((*Device).closePassProgram)
}
