// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Device is one interface that frames leave through, with the queues opened on it so far.
type Device struct {
	link
	set *Set
	mtu int
	// program is set on an interface that receives; its queues come first, and all of queues may be more than those
	// for sending.
	program *Program
	sending int

	Opening lockrank.Mutex[locks.Opening] // one queue is opened at a time; held while the kernel takes its time

	mu       lockrank.Mutex[locks.DeviceMu]
	queues   []*send.Queue    // by slot, nil until used
	halves   []*receive.Queue // their receiving halves, nil where there is none
	failures []failure        // of those that could not be opened
	gone     bool

	fragmentID atomic.Uint32
	proof      lockrank.Mutex[locks.Proof] // held by a proof that runs
	noMetadata atomic.Bool                 // the kernel refused a frame for its TX metadata

	attempts    attempts
	hurried     atomic.Int32 // the slot, from 1, whose attempt does not wait for a busy queue; written with Opening held
	facts       facts
	zeroCopy    zeroCopy
	passProgram passProgram
}

// failure is why there is no queue in a slot, and until when it is not tried again.
type failure struct {
	err   error
	until time.Time
}

// openRetry is how long the kernel's stack serves those who would send through a queue that can't be opened before it is tried again.
const openRetry = 10 * time.Second

var errDeviceGone = errors.New("device is gone")

// Open opens a queue unless it is open. It may block for as long as somebody else has the queue: see QueueFor for
// traffic.
func (d *Device) Open(slot int) (*send.Queue, error) {
	d.Opening.Lock()
	defer d.Opening.Unlock()
	return d.openLocked(slot)
}

func (d *Device) openLocked(slot int) (*send.Queue, error) {
	if q, err := d.ready(slot); q != nil || err != nil {
		return q, err
	}
	q, half, err := d.openQueue(slot)
	if err != nil && !errors.Is(err, unix.EBUSY) { // else it is waited for, or the caller says so
		d.log.Warn("no AF_XDP on this queue, its datagrams go through the kernel's stack",
			"interface", d.ifname, "queue", slot, "err", err)
	}
	// The poller of a queue asks under its KickMu whether the device is gone, so d.mu must not be held over shutdown.
	if d.keep(slot, q, half, err) {
		q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
		return nil, errDeviceGone
	}
	return q, err
}

// keep notes how the opening of a queue went. It reports that the device has gone while it was opened. That somebody else has the queue
// is for those to remember who wait for it.
func (d *Device) keep(slot int, q *send.Queue, half *receive.Queue, err error) (gone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(err, unix.EBUSY) {
		return false
	}
	if err != nil {
		d.failures[slot] = failure{err, time.Now().Add(openRetry)}
		return false
	}
	d.queues[slot], d.halves[slot] = q, half
	return d.gone
}

// openQueue opens a queue, with its receiving half where the interface has one for it.
func (d *Device) openQueue(slot int) (*send.Queue, *receive.Queue, error) {
	lockrank.AssertMay(locks.Ask, "to open a queue")
	open := func() (xdp.Queue, error) { return d.set.Open(d, slot) }
	if d.program == nil || slot >= d.program.Queues {
		q, err := send.OpenQueue(d.set.Senders, d, slot, nil, open)
		return q, nil, err
	}
	half := receive.NewQueue(d.program.Intake, slot)
	q, err := send.OpenQueue(d.set.Senders, d, slot, half, open)
	return q, half, err
}

// ready is the queue of a slot if it is open, or the reason why it should not be opened now.
func (d *Device) ready(slot int) (*send.Queue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.gone:
		return nil, errDeviceGone
	case d.queues[slot] != nil && d.queues[slot].Ended():
		return nil, errDeviceGone
	case d.queues[slot] != nil:
		if err := send.Away(d.queues[slot]); err != nil {
			return nil, err
		}
		return d.queues[slot], nil
	case time.Now().Before(d.failures[slot].until):
		return nil, d.failures[slot].err
	}
	return nil, nil
}

// isOpen reports whether there is a queue in a slot: what is opened is another socket for it.
func (d *Device) isOpen(slot int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queues[slot] != nil
}

// noteBusy tells the traffic that waits for a queue, and the operator, that somebody else has it.
func (d *Device) noteBusy(slot int, why error) {
	if d.attempts.noteBusy(slot, why) {
		d.log.Warn("somebody else has the queue; until it is free datagrams go through the kernel's stack",
			"interface", d.ifname, "queue", slot, "err", why)
	}
}

func (d *Device) Opened() []*send.Queue {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*send.Queue, 0, len(d.queues))
	for _, q := range d.queues {
		if q != nil {
			list = append(list, q)
		}
	}
	return list
}

// hasLostQueue reports whether a queue has ended without the device being taken down: its interface is gone, or is
// another by now that has the same index.
func (d *Device) hasLostQueue() bool {
	return !d.IsGone() && slices.ContainsFunc(d.Opened(), (*send.Queue).Ended)
}

// retire lets no further queue be opened.
func (d *Device) retire() {
	d.mu.Lock()
	d.gone = true
	d.mu.Unlock()
}

// Received lists the receiving halves of the open queues.
func (d *Device) Received() []*receive.Queue {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.halves), func(r *receive.Queue) bool { return r == nil })
}

func (d *Device) LinkUp() {
	for _, q := range d.Opened() {
		q.LinkUp()
	}
}

func (d *Device) CarrierLost() {
	for _, q := range d.Opened() {
		q.CarrierLost()
	}
}

// Dismantle fails everything that was to leave through a device and gives back what is open on it.
func (d *Device) Dismantle() {
	d.retire()
	for _, q := range d.Opened() {
		q.Shutdown(wsk.STATUS_FILE_FORCED_CLOSED)
	}
	d.closePassProgram()
	if d.program != nil {
		d.program.Close()
	}
}

// SocketOptions is the form of a queue's AF_XDP socket.
func (d *Device) SocketOptions(id int) xdp.Options {
	o := d.set.Opts.Socket
	o.IfIndex, o.Ifname, o.Queue = d.Index, "", uint32(id) // the name may be another by now
	o.Offload, o.MultiBuffer = d.set.Opts.Offload, true
	if d.noMetadata.Load() {
		o.Offload = xdp.OffloadNone
	}
	switch {
	case d.program == nil || id >= d.program.Queues:
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

// checkMTU reports whether a queue takes packets of an interface that leave through it. Where it doesn't AF_XDP sends none of
// them.
func checkMTU(q *send.Queue, rd route.Device) error {
	largest := send.LongestPacket(q)
	if rd.MTU <= largest {
		return nil
	}
	g := q.Info().Granted
	room := fmt.Sprintf("a chunk of %d bytes", g.ChunkSize)
	if g.FrameChunks > 1 {
		room = fmt.Sprintf("%d chunks of %d bytes, and no frame may have more", g.FrameChunks, g.ChunkSize)
	}
	return fmt.Errorf("a packet of the MTU, %d, does not fit %s, so AF_XDP sends none: ip link set %s mtu %d or less",
		rd.MTU, room, rd.Name, largest)
}

// smallChunkMTU is the largest MTU whose packets fit a chunk of 2048 bytes together with the headers in front.
const smallChunkMTU = 2048 - send.GenerationRoom - xdp.TxMetadataLen - frame.EthernetLen - frame.MaxVLANTags*frame.VLANTagLen

// bigChunks keeps a UMEM of large chunks at 4 MiB, inside the usual RLIMIT_MEMLOCK.
const bigChunks = 1024

func (d *Device) Name() string { return d.ifname }

func (d *Device) RefuseMetadata() { d.noMetadata.Store(true) }

func (d *Device) Proving() *lockrank.Mutex[locks.Proof] { return &d.proof }

func (d *Device) IsGone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

// NextFragmentID is the identification of a fragmented datagram. All queues of a device share one counter, so that two
// datagrams between the same hosts are not put together from each other's fragments (RFC 791 section 3.2).
func (d *Device) NextFragmentID() uint32 { return d.fragmentID.Add(1) }

// GuardPassProgram looks whether the program for zero-copy's sake is still on the interface. Without it some drivers
// serve the queues no more, and others take the host's traffic down in silence; the rebuild attaches another.
func (d *Device) GuardPassProgram() {
	if !d.passProgram.takenOff() {
		return
	}
	for _, q := range d.Opened() {
		q.ProgramTaken()
	}
}

// closePassProgram restores the interface. The sockets are closed by then.
func (d *Device) closePassProgram() {
	if err := d.passProgram.close(); err != nil {
		d.log.Warn("detach the XDP program for zero-copy", "interface", d.ifname, "err", err)
	}
}
