// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"math/rand/v2"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

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
	var queues []*send.Queue
	w.rig.dp.devices.EachQueue(func(q *send.Queue) { queues = append(queues, q) })
	if len(queues) == 0 {
		return
	}
	q := queues[r.IntN(len(queues))]
	switch r.IntN(6) {
	case 0:
		q.ProgramTaken()
	case 1:
		var between func()
		if r.IntN(2) == 0 {
			between = func() { w.rig.pause(r, 2*time.Millisecond) }
		}
		send.BreakDown(q, "chaos", between)
		send.Kick(q)
	case 2, 3:
		send.ShiftUp(q)
	case 4:
		send.TrustOffload(q)
	case 5:
		w.rig.dp.Info()
		w.rig.dp.devices.Each((*device.Device).GuardPassProgram)
	}
}
