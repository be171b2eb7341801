// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
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
	had    map[*device]uint64 // queues that have had a socket, by bit
	live   []*xdptest.Kernel
	closed int
}

func newWorld(rig *chaos, seed uint64) *world {
	w := &world{rig: rig, r: rand.New(rand.NewPCG(seed, 1)), had: make(map[*device]uint64)}
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

func (w *world) Transmit(hop route.Hop) (route.Device, []route.VLAN, bool) {
	return hop.Device, nil, true
}

// open makes a socket in one of the modes of the test, in the state that the interface is in.
func (w *world) open(d *device, id int) (xdp.Queue, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	again := w.had[d]&(1<<id) != 0
	switch {
	case int(w.index.Load()) != d.index:
		return nil, unix.ENODEV
	case again && w.refusing.Load():
		return nil, unix.EBUSY
	}
	w.had[d] |= 1 << id
	config := w.rig.mode.sockets[w.r.IntN(len(w.rig.mode.sockets))]
	config.OnSend = func(frame []byte) { w.rig.onWire(d.index, frame) }
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
	d := dp.newDevice(w.device(), dp.opts.Queues, nil)
	d.index = index
	d.link = func() linkState {
		return linkState{int(w.index.Load()) == index, w.up.Load(), w.up.Load() && w.carrier.Load()}
	}
	d.carrier.up, d.carrier.until = true, time.Now().Add(time.Hour)
	dp.mu.Lock()
	dp.devices[index] = d
	dp.mu.Unlock()
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

// links is what happens to the interface: each trouble ends, whether that is told or not.
func (w *world) links(r *rand.Rand) {
	for next := 2; !w.rig.stop.Load(); {
		w.rig.pause(r, 5*time.Millisecond)
		told := r.IntN(4) != 0
		switch r.IntN(16) {
		case 0, 1, 2:
			w.setCarrier(false)
			if told {
				w.tell(route.Event{Kind: route.Carrier})
			}
			w.rig.pause(r, 20*time.Millisecond)
			w.setCarrier(true)
			if told {
				w.tell(route.Event{Kind: route.Carrier, Carrier: true})
			}
		case 3, 4, 5:
			w.setUp(false)
			w.rig.pause(r, 20*time.Millisecond)
			w.setCarrier(r.IntN(2) == 0)
			w.setUp(true)
			if told {
				w.tell(route.Event{Kind: route.LinkUp})
			} else {
				w.rig.pause(r, 40*time.Millisecond) // until it is found out
			}
			w.setCarrier(true)
		case 6, 7, 8, 9: // late news
			w.tell(route.Event{Kind: route.Carrier})
			w.rig.pause(r, time.Millisecond)
			if told {
				w.tell(route.Event{Kind: route.Carrier, Carrier: true})
			}
		case 10, 11, 12:
			w.each(func(k *xdptest.Kernel) { k.HoldCompletions(true) })
			w.rig.pause(r, 5*time.Millisecond)
			seed, lost := r.Uint64(), r.IntN(4)
			w.each(func(k *xdptest.Kernel) {
				k.HoldCompletions(false)
				if lost == 0 {
					k.LoseHeld(3)
				}
				k.CompleteHeld(-1, xdptest.Random, seed)
			})
		case 13, 14:
			w.each(func(k *xdptest.Kernel) { k.SetNeedWakeup(false) })
			w.rig.pause(r, 5*time.Millisecond)
			w.each(func(k *xdptest.Kernel) { k.SetNeedWakeup(true) })
		case 15:
			w.vanish()
			w.rig.pause(r, 5*time.Millisecond)
			w.appear(next)
			next++
		}
	}
}

// troubles is what happens to one queue or socket.
func (w *world) troubles(r *rand.Rand) {
	fates := []xdptest.Fate{xdptest.Drop, xdptest.Lose, xdptest.Twice, xdptest.Hold, xdptest.Stall, xdptest.Wedge, xdptest.Refuse}
	errnos := []syscall.Errno{unix.EAGAIN, unix.ENOBUFS, unix.EINTR, unix.ENETDOWN, unix.EPERM}
	for !w.rig.stop.Load() {
		w.rig.pause(r, 2*time.Millisecond)
		k := w.some(r)
		if k == nil {
			continue
		}
		zeroCopy := k.Granted().Mode == xdp.ModeZeroCopy
		switch r.IntN(10) {
		case 0, 1:
			fate := fates[r.IntN(len(fates))]
			if zeroCopy {
				fate = fates[1+r.IntN(3)]
			}
			k.Plan(k.Consumed()+uint64(r.IntN(20)), fate)
		case 2:
			errno := errnos[r.IntN(len(errnos))]
			if zeroCopy && r.IntN(4) == 0 {
				errno = unix.ENXIO
			}
			k.FailKicks(errno)
		case 3:
			k.PostCompletion(r.Uint64N(64*2048) | 1) // odd: the address of nothing
		case 4:
			if r.IntN(8) != 0 {
				continue // else nobody has to find out for himself
			}
			w.tell(route.Event{Kind: []route.EventKind{route.LinkUp, route.Resynced}[r.IntN(2)]})
		case 5:
			w.generation.Add(1)
		case 6:
			w.refusing.Store(true)
			w.rig.pause(r, time.Millisecond)
			w.refusing.Store(false)
		default:
			w.trouble(r)
		}
	}
}

// trouble does what others than senders do with a queue.
func (w *world) trouble(r *rand.Rand) {
	var queues []*queue
	w.rig.dp.eachQueue(func(q *queue) { queues = append(queues, q) })
	if len(queues) == 0 {
		return
	}
	q := queues[r.IntN(len(queues))]
	switch r.IntN(6) {
	case 0:
		q.programTaken()
	case 1:
		q.kickMu.Lock()
		if !q.out && r.IntN(2) == 0 {
			q.mu.Lock() // cancellers that have won their operations queue up
			w.rig.pause(r, 2*time.Millisecond)
			q.refill()
			q.mu.Unlock()
		}
		q.breakdown("chaos", wsk.STATUS_IO_TIMEOUT)
		q.unlockKick()
		q.runDone()
	case 2, 3:
		w.shiftUp(q)
	case 4:
		if grant, _, _ := q.prover.ask(proofKey{}, false); grant != 0 {
			q.prover.conclude(proofKey{}, grant, nil, false)
			q.promote(proofKey{}, grant)
		}
	case 5:
		w.rig.dp.Info()
		w.rig.dp.eachDevice((*device).guardSupply)
	}
}
