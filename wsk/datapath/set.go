// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"

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

// deviceSet is the interfaces of one datapath that frames leave through or come in by.
type deviceSet struct {
	log     *slog.Logger
	ctx     context.Context // done when the datapath closes
	goRun   func(func())    // starts a goroutine that Close waits for
	inNetNS func(func() error) error
	routes  deviceRoutes
	opts    deviceOptions
	senders *send.Host
	hub     *receive.Hub
	open    func(d *device, id int) (xdp.Queue, error)
	changed func() // called when what is known of devices may have changed

	mu      lockrank.Mutex[locks.DevicesMu]
	closed  bool
	devices map[int]*device
	missing revivals
}

// deviceOptions are those of Options that concern devices.
type deviceOptions struct {
	Queues        int
	Socket        xdp.Options
	Offload       xdp.Offload
	ReceiveMode   bpf.Mode
	SpreadReceive bool
}

// deviceRoutes is what devices need of the routing table, [route.Table].
type deviceRoutes interface {
	DeviceByName(name string) (route.Device, bool)
}

// errSetClosed is what a datapath says that has been closed.
var errSetClosed = errors.New("datapath is closed")

var errReceivesTwice = errors.New("the interface is named twice")

func (set *deviceSet) known(ifindex int) *device {
	set.mu.Lock()
	defer set.mu.Unlock()
	return set.devices[ifindex]
}

func (set *deviceSet) deviceFor(rd route.Device) (*device, error) {
	if d := set.known(rd.Index); d != nil {
		return d, nil
	}
	if set.awaits(rd.Name) {
		return nil, errAwaitsReceiving
	}
	queues := set.sendingQueues(rd)
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.closed {
		return nil, errSetClosed
	}
	d := set.devices[rd.Index]
	if d == nil {
		d = set.newDevice(rd, queues, nil)
		set.devices[rd.Index] = d
	}
	return d, nil
}

// sendingQueues is the number of queues to send through: no more than are in use, of which routing tables know nothing. A
// socket on another would be granted, and nothing ever sent.
func (set *deviceSet) sendingQueues(rd route.Device) int {
	n := min(set.opts.Queues, max(rd.TxQueues, 1))
	if n == 1 {
		return n
	}
	err := set.inNetNS(func() error {
		facts, err := nic.Inspect(rd.Name)
		if err == nil && facts.Index == rd.Index {
			n = min(n, max(facts.TxQueues.N, 1))
		}
		return err
	})
	if err != nil {
		set.log.Debug("count transmit queues", "interface", rd.Name, "err", err)
	}
	return n
}

func (set *deviceSet) newDevice(rd route.Device, slots int, p *program) *device {
	d := &device{set: set, index: rd.Index, name: rd.Name, mtu: rd.MTU, program: p, sending: slots}
	if p != nil {
		slots = max(slots, p.queues)
	}
	d.queues, d.halves = make([]*send.Queue, slots), make([]*receive.Queue, slots)
	d.fragmentID.Store(rand.Uint32())
	return d
}

// newReceivingDevice makes the device of an interface that is to receive, before anything is sent through it. Its opening is held:
// the caller lets go of it when the program is there, or has retired the device.
func (set *deviceSet) newReceivingDevice(rd route.Device, p *program) (*device, error) {
	d := set.newDevice(rd, set.sendingQueues(rd), p)
	d.opening.Lock() // before set.mu, as everywhere; nobody else knows it yet
	if err := set.enter(d); err != nil {
		d.opening.Unlock()
		return nil, err
	}
	return d, nil
}

// enter makes a device known that nothing has been sent through yet.
func (set *deviceSet) enter(d *device) error {
	set.mu.Lock()
	defer set.mu.Unlock()
	switch {
	case set.closed:
		return errSetClosed
	case set.devices[d.index] != nil:
		return errReceivesTwice
	}
	set.devices[d.index] = d
	return nil
}

// queueFor returns the queue that a source sends through on a device, opening it on first use. It may block while
// the kernel releases the queue from an earlier owner.
func (set *deviceSet) queueFor(rd route.Device, serial uint32) (*send.Queue, error) {
	d, err := set.deviceFor(rd)
	if err != nil {
		return nil, err
	}
	return d.open(int(serial) % d.sending)
}

// openInterface opens every queue of a named interface, for those who will not have the kernel's stack instead.
func (set *deviceSet) openInterface(name string) error {
	rd, ok := set.routes.DeviceByName(name)
	if !ok {
		return fmt.Errorf("open interface %s: no such interface in this network namespace", name)
	}
	d, err := set.deviceFor(rd)
	if err != nil {
		return err
	}
	for slot := range d.queues {
		if _, err := d.open(slot); err != nil {
			return fmt.Errorf("open interface %s: %w", name, err)
		}
	}
	return nil
}

func (set *deviceSet) each(do func(*device)) {
	set.mu.Lock()
	devices := make([]*device, 0, len(set.devices))
	for _, d := range set.devices {
		devices = append(devices, d)
	}
	set.mu.Unlock()
	slices.SortFunc(devices, func(a, b *device) int { return cmp.Compare(a.index, b.index) })
	for _, d := range devices {
		do(d)
	}
}

func (set *deviceSet) eachQueue(do func(*send.Queue)) {
	set.each(func(d *device) {
		for _, q := range d.opened() {
			do(q)
		}
	})
}

// deleted fails everything that was to leave through a device that was deleted, and reports whether it was known.
func (set *deviceSet) deleted(ifindex int) bool {
	set.mu.Lock()
	d := set.devices[ifindex]
	delete(set.devices, ifindex)
	set.mu.Unlock()
	if d == nil {
		return false
	}
	d.dismantle()
	set.log.Warn("interface deleted", "interface", d.name)
	return true
}

// programs lists the XDP programs that receivers are fed by, once they are loaded.
func (set *deviceSet) programs() (list []*program) {
	set.each(func(d *device) {
		if d.program != nil && d.program.isLoaded() {
			list = append(list, d.program)
		}
	})
	return list
}

// nudge wakes the drivers that have run dry of memory to receive into.
func (set *deviceSet) nudge() {
	set.each(func(d *device) {
		for _, r := range d.received() {
			r.Nudge()
		}
	})
}

// close gives back everything that is open on every device, and lets nothing be opened any more.
func (set *deviceSet) close() {
	set.mu.Lock()
	set.closed = true
	set.mu.Unlock()
	set.each((*device).retire)
	// Each queue leaves the program before its socket goes, so that no frame is lost; the program goes last, since a zero-copy
	// driver resets the device for it and should not have our memory in its rings then.
	set.eachQueue(func(q *send.Queue) { q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED) })
	set.each(func(d *device) {
		if d.program != nil {
			d.program.close()
		}
	})
	set.each((*device).closeSupply)
}
