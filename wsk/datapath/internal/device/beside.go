// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Traffic does not wait for a queue that somebody else has. Such a queue is opened beside it, on a goroutine that
// tries for as long as the queue is busy.

// The pauses between attempts, the first and the longest. Each attempt waits for busyGrace itself.
const (
	busyRetryFirst = 100 * time.Millisecond
	busyRetryLast  = 500 * time.Millisecond
)

// headStart is how much later a queue is opened that the kernel's stack stands in for. To open one keeps a processor busy for some ten
// milliseconds, and the datagram that asked for it, which is on its way through the stack, would have to wait for that.
const headStart = 10 * time.Millisecond

// QueueFor returns the queue that a source sends through on a device, or the reason why there is none. It does not block: on
// first use it has the queue opened, and the error is send.ErrOpening. Then later is called once, and must not block, when the queue is open,
// can't be, or the kernel's stack is to send meanwhile: because the queue is somebody else's, and is opened as soon as it is free, or
// because Options.StandIn wants it so. The ways of all sources are looked up anew then.
func (set *Set) QueueFor(rd route.Device, serial uint32, later func()) (*send.Queue, error) {
	d, err := set.deviceFor(rd)
	if err != nil {
		return nil, err
	}
	slot := int(serial) % d.sending
	if q, err := d.ready(slot); q != nil || err != nil {
		return q, err
	}
	standsIn, _ := d.standsIn()
	why, fresh := d.attempts.await(slot, standsIn, later)
	if fresh {
		set.GoRun(func() { d.try(slot) })
	}
	if why != nil {
		return nil, why
	}
	return nil, send.ErrOpening
}

// try opens a queue, and waits for it as long as somebody else has it.
func (d *Device) try(slot int) {
	if d.asksStandIn() {
		d.attempts.noteStandIn(slot)
		d.pause(headStart)
	}
	_, err := d.openHurried(slot)
	for pause := busyRetryFirst; errors.Is(err, unix.EBUSY) && d.pause(pause); pause = min(2*pause, busyRetryLast) {
		d.noteBusy(slot, err)
		_, err = d.openHurried(slot)
	}
	sent, wasBusy := d.attempts.end(slot)
	if wasBusy && err == nil {
		d.log.Info("the queue is free, datagrams leave through AF_XDP", "interface", d.ifname, "queue", slot)
	}
	if sent && err == nil {
		for _, s := range d.set.Senders.Sources() {
			s.Hasten()
		}
	}
}

// openHurried is Open for an attempt, which does not keep others from opening while it waits.
func (d *Device) openHurried(slot int) (*send.Queue, error) {
	d.Opening.Lock()
	defer d.Opening.Unlock()
	d.hurried.Store(int32(slot) + 1)
	defer d.hurried.Store(0)
	return d.openLocked(slot)
}

// pause reports whether the device is still wanted after a while.
func (d *Device) pause(length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return !d.IsGone()
	case <-d.set.Ctx.Done():
		return false
	}
}
