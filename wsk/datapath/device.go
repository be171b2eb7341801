// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// device is one interface that frames leave through, with the queues opened on it so far.
type device struct {
	dp    *Datapath
	index int
	name  string
	mtu   int
	// intake is set on an interface that receives; its queues come first, and all of queues may be more than those for sending.
	intake  *intake
	sending int

	opening sync.Mutex // one queue is opened at a time; held while the kernel takes its time

	mu      sync.Mutex
	queues  []*queue // by slot, nil until used
	gone    bool
	failed  error // why AF_XDP is not to be had here
	retryAt time.Time

	carrier    carrierCache
	fragmentID atomic.Uint32
	proving    sync.Mutex  // held by a proof that runs
	noMetadata atomic.Bool // the kernel refused a frame for its TX metadata

	facts  deviceFacts
	link   func() linkState // if set, answers for netlink: for tests without a kernel
	supply supply
	waits  linkWaits
}

// openRetry is how long a device on which AF_XDP failed is served by the kernel's stack before it is tried again.
const openRetry = 10 * time.Second

var errDeviceGone = errors.New("device is gone")

func (dp *Datapath) knownDevice(ifindex int) *device {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	return dp.devices[ifindex]
}

func (dp *Datapath) deviceFor(rd route.Device) (*device, error) {
	if d := dp.knownDevice(rd.Index); d != nil {
		return d, nil
	}
	if dp.awaitsIntake(rd.Name) {
		return nil, errAwaitsIntake
	}
	queues := dp.sendingQueues(rd)
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return nil, ErrClosed
	}
	d := dp.devices[rd.Index]
	if d == nil {
		d = dp.newDevice(rd, queues, nil)
		dp.devices[rd.Index] = d
	}
	return d, nil
}

// sendingQueues is how many queues to send through: those in use, which routing tables do not know. Others send nothing.
func (dp *Datapath) sendingQueues(rd route.Device) int {
	n := min(dp.opts.Queues, max(rd.TxQueues, 1))
	if n == 1 {
		return n
	}
	err := dp.ns.Do(func() error {
		facts, err := nic.Inspect(rd.Name)
		if err == nil && facts.Index == rd.Index {
			n = min(n, max(facts.TxQueues.N, 1))
		}
		return err
	})
	if err != nil {
		dp.log.Debug("count transmit queues", "interface", rd.Name, "err", err)
	}
	return n
}

func (dp *Datapath) newDevice(rd route.Device, slots int, in *intake) *device {
	d := &device{dp: dp, index: rd.Index, name: rd.Name, mtu: rd.MTU, intake: in, sending: slots}
	if in != nil {
		slots = max(slots, in.queues)
	}
	d.queues = make([]*queue, slots)
	d.fragmentID.Store(rand.Uint32())
	return d
}

var errReceivesTwice = errors.New("the interface is named twice")

// newReceivingDevice makes the device of an interface that is to receive, before anything is sent through it. Its opening is held:
// the caller lets go of it when the program of the intake is there, or has retired the device.
func (dp *Datapath) newReceivingDevice(rd route.Device, in *intake) (*device, error) {
	queues := dp.sendingQueues(rd)
	dp.mu.Lock()
	defer dp.mu.Unlock()
	switch {
	case dp.closed:
		return nil, ErrClosed
	case dp.devices[rd.Index] != nil:
		return nil, errReceivesTwice
	}
	d := dp.newDevice(rd, queues, in)
	d.opening.Lock()
	dp.devices[rd.Index] = d
	return d, nil
}

// queueFor returns the queue that an endpoint sends through on a device, opening it on first use. It may block while
// the kernel releases the queue from an earlier owner.
func (dp *Datapath) queueFor(rd route.Device, ep *endpoint) (*queue, error) {
	d, err := dp.deviceFor(rd)
	if err != nil {
		return nil, err
	}
	return d.open(int(ep.serial) % d.sending)
}

func (d *device) open(slot int) (*queue, error) {
	d.opening.Lock()
	defer d.opening.Unlock()
	if q, err := d.ready(slot); q != nil || err != nil {
		return q, err
	}
	q, err := openQueue(d, slot)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failed, d.retryAt = err, time.Now().Add(openRetry)
		d.dp.log.Warn("no AF_XDP on this queue, its datagrams go through the kernel's stack",
			"interface", d.name, "queue", slot, "err", err)
		return nil, err
	}
	d.failed = nil
	d.queues[slot] = q
	if d.gone {
		q.shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
		return nil, errDeviceGone
	}
	return q, nil
}

// ready is the queue of a slot if it is open, or the reason why it should not be opened now.
func (d *device) ready(slot int) (*queue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.gone:
		return nil, errDeviceGone
	case d.queues[slot] != nil:
		return d.queues[slot], nil
	case d.failed != nil && time.Now().Before(d.retryAt):
		return nil, d.failed
	}
	return nil, nil
}

// openInterface opens every queue of a named interface, for those who will not have the kernel's stack instead.
func (dp *Datapath) openInterface(name string) error {
	rd, ok := dp.routes.DeviceByName(name)
	if !ok {
		return fmt.Errorf("open interface %s: no such interface in this network namespace", name)
	}
	d, err := dp.deviceFor(rd)
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

func (d *device) opened() []*queue {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*queue, 0, len(d.queues))
	for _, q := range d.queues {
		if q != nil {
			list = append(list, q)
		}
	}
	return list
}

func (dp *Datapath) eachDevice(do func(*device)) {
	dp.mu.Lock()
	devices := make([]*device, 0, len(dp.devices))
	for _, d := range dp.devices {
		devices = append(devices, d)
	}
	dp.mu.Unlock()
	for _, d := range devices {
		do(d)
	}
}

func (dp *Datapath) eachQueue(do func(*queue)) {
	dp.eachDevice(func(d *device) {
		for _, q := range d.opened() {
			do(q)
		}
	})
}

// retire lets no further queue be opened.
func (d *device) retire() {
	d.mu.Lock()
	d.gone = true
	d.mu.Unlock()
}

func (d *device) linkUp() {
	for _, q := range d.opened() {
		q.linkUp()
	}
}

func (d *device) carrierLost() {
	for _, q := range d.opened() {
		q.carrierLost()
	}
}

// deviceDeleted fails everything that was to leave through a device and tells the sockets that lived on it.
func (dp *Datapath) deviceDeleted(ifindex int) {
	dp.mu.Lock()
	d := dp.devices[ifindex]
	delete(dp.devices, ifindex)
	dp.mu.Unlock()
	if d != nil {
		d.dismantle()
		dp.log.Warn("interface deleted", "interface", d.name)
		dp.watchers.wake() // another of its name may be there already
	}
	for _, ep := range dp.endpointList() {
		ep.deviceGone(ifindex)
	}
}

// dismantle fails everything that was to leave through a device and gives back what is open on it.
func (d *device) dismantle() {
	d.retire()
	for _, q := range d.opened() {
		q.shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
	}
	d.closeSupply()
	if d.intake != nil {
		d.intake.close()
	}
}

// socketOptions is the form of a queue's AF_XDP socket.
func (d *device) socketOptions(id int) xdp.Options {
	o := d.dp.opts.Socket
	o.IfIndex, o.Ifname, o.Queue = d.index, "", uint32(id) // the name may be another by now
	o.Offload = d.dp.opts.Checksum.offload()
	if d.noMetadata.Load() {
		o.Offload = xdp.OffloadNone
	}
	switch {
	case d.intake == nil || id >= d.intake.queues:
		o.RxChunks, o.RxRing, o.FillRing, o.SplitRX = 0, 0, 0, false
	default:
		o.SplitRX = true
		if o.RxChunks == 0 {
			o.RxChunks = defaultRxChunks
		}
	}
	if o.ChunkSize == 0 && d.mtu > smallChunkMTU {
		o.ChunkSize = 4096
		if o.TxChunks == 0 {
			o.TxChunks = bigChunks
		}
	}
	return o
}

// smallChunkMTU is the largest MTU whose packets fit a chunk of 2048 bytes together with the headers in front.
const smallChunkMTU = 2048 - generationRoom - xdp.TxMetadataLen - frame.EthernetLen - frame.MaxVLANTags*frame.VLANTagLen

// bigChunks keeps a UMEM of large chunks at 4 MiB, inside the usual RLIMIT_MEMLOCK.
const bigChunks = 1024

// carrierCache remembers for a moment whether a device has a carrier: the question is asked for each dropped frame.
type carrierCache struct {
	mu    sync.Mutex
	until time.Time
	up    bool
}

const carrierCacheTime = 5 * time.Millisecond

// hasCarrier asks for what the kernel drops by: a driver's own word (ethtool) runs ahead of it while a link comes up. A device
// that is gone is another matter.
func (d *device) hasCarrier() bool {
	c := &d.carrier
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.until) {
		return c.up
	}
	link := d.linkNow()
	c.up = link.carrier || !link.exists
	c.until = now.Add(carrierCacheTime)
	return c.up
}

func (d *device) isGone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

// nextFragmentID is the identification of a fragmented datagram. All queues of a device share one counter, so that two
// datagrams between the same hosts are not put together from each other's fragments (RFC 791 section 3.2).
func (d *device) nextFragmentID() uint32 { return d.fragmentID.Add(1) }
