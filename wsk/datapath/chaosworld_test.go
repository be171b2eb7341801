// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// world is the network and the kernel below a datapath in chaos: one interface that comes and goes, and its sockets.
type world struct {
	fakeRoutes
	rig        *chaos
	index      atomic.Int32 // of the interface; 0 while it is deleted
	generation atomic.Uint64
	born       atomic.Uint64 // the operation at which it came
	up         atomic.Bool
	carrier    atomic.Bool
	refusing   atomic.Bool // no new socket for a queue that had one
	eventMu    sync.Mutex  // the routing table tells of one thing at a time

	mu     sync.Mutex
	r      *rand.Rand
	had    map[*device.Device]uint64 // queues that have had a socket, by bit
	live   []*xdptest.Kernel
	closed int
}

func newWorld(rig *chaos, seed uint64) *world {
	w := &world{rig: rig, r: rand.New(rand.NewPCG(seed, 1)), had: make(map[*device.Device]uint64)}
	w.index.Store(1)
	w.up.Store(true)
	w.carrier.Store(true)
	return w
}

func (w *world) device() route.Device {
	d := fakeDevice
	d.Index = int(w.index.Load())
	return d
}

var errNoRoute = errors.New("the interface is away")

func (w *world) Generation() uint64 { return w.generation.Load() }

func (w *world) Resolve(ctx context.Context, q route.Query) (route.Hop, error) {
	d := w.device()
	if d.Index == 0 {
		return route.Hop{}, errNoRoute
	}
	hop, err := w.fakeRoutes.Resolve(ctx, q)
	// No proof of checksum offload is sent to a group: promote is the test's.
	hop.Kind, hop.Interface, hop.Device = route.Multicast, d.Index, d
	return hop, err
}

func (w *world) Transmit(hop route.Hop, _ uint8) (route.Egress, route.Obstacle) {
	return route.Egress{Device: hop.Device}, route.Obstacle{}
}

// open makes a socket in one of the modes of the test, in the state that the interface is in.
func (w *world) open(d *device.Device, id int) (xdp.Queue, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	again := w.had[d]&(1<<id) != 0
	switch {
	case int(w.index.Load()) != d.Index:
		return nil, unix.ENODEV
	case again && w.refusing.Load():
		return nil, unix.EBUSY
	}
	w.had[d] |= 1 << id
	config := w.rig.mode.sockets[w.r.IntN(len(w.rig.mode.sockets))]
	config.OnSend = func(frame []byte) { w.rig.onWire(d.Index, frame) }
	k, err := xdptest.New(config)
	if err != nil {
		return nil, err
	}
	k.SetUp(w.up.Load())
	k.SetCarrier(w.carrier.Load())
	w.live = append(w.live, k)
	return k, nil
}

// each does something to every socket that is open.
func (w *world) each(do func(*xdptest.Kernel)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var live []*xdptest.Kernel
	for _, k := range w.live {
		if k.Closed() {
			w.closed++
			continue
		}
		live = append(live, k)
		do(k)
	}
	w.live = live
}

// some is one of the open sockets, or nil.
func (w *world) some(r *rand.Rand) (some *xdptest.Kernel) {
	n := 0
	w.each(func(k *xdptest.Kernel) {
		if n++; r.IntN(n) == 0 {
			some = k
		}
	})
	return some
}

// interrupts polls the sockets with zero-copy as NAPI would.
func (w *world) interrupts() {
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for !w.rig.over.Load() {
		<-tick.C
		w.each(func(k *xdptest.Kernel) {
			if k.Granted().Mode == xdp.ModeZeroCopy {
				k.Poll()
			}
		})
	}
}

func (w *world) setUp(on bool) {
	w.up.Store(on)
	w.each(func(k *xdptest.Kernel) { k.SetUp(on) })
}

func (w *world) setCarrier(on bool) {
	w.carrier.Store(on)
	w.each(func(k *xdptest.Kernel) { k.SetCarrier(on) })
}

// tell sends an event, as the routing table does.
func (w *world) tell(e route.Event) {
	w.eventMu.Lock()
	defer w.eventMu.Unlock()
	if e.Interface == 0 {
		e.Interface = int(w.index.Load())
	}
	w.rig.dp.onEvent(e)
}

// appear makes the interface known, with what answers for netlink.
func (w *world) appear(index int) {
	dp := w.rig.dp
	d := dp.devices.NewDevice(w.device(), dp.devices.Opts.Queues, nil)
	d.Index = index
	d.Link = func() send.LinkState {
		return send.LinkState{Exists: int(w.index.Load()) == index, Up: w.up.Load(), Carrier: w.up.Load() && w.carrier.Load()}
	}
	d.Carrier.Up, d.Carrier.Until = true, time.Now().Add(time.Hour)
	dp.devices.Mu.Lock()
	dp.devices.Devices[index] = d
	dp.devices.Mu.Unlock()
	w.born.Store(w.rig.lastID.Load())
	w.index.Store(int32(index))
	w.generation.Add(1)
}

// vanish deletes the interface.
func (w *world) vanish() {
	index := int(w.index.Swap(0))
	w.generation.Add(1)
	w.each(func(k *xdptest.Kernel) { k.Remove() })
	w.tell(route.Event{Kind: route.LinkDeleted, Interface: index})
}
