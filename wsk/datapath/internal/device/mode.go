// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// The modes that a queue is opened in, the best first:
//
//	zero-copy   with a program in the driver
//	copy        with a program in the driver or in the kernel's receive path, or without any where nothing is received
//
// What makes a queue take the next is for xdp.CopyAfter to say. Attaching a program takes the link down for seconds on
// many NICs, so that a device that only sends gets one for zero-copy alone, and where the driver announces that.

// OpenSocket opens the AF_XDP socket of a queue in the datapath's namespace.
func (set *Set) OpenSocket(d *Device, id int) (xdp.Queue, error) {
	var sock *xdp.Socket
	err := set.InNetNS(func() (err error) {
		sock, err = d.openBest(set.Ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sock, nil
}

// openBest opens a queue in the best mode that options, program and driver allow.
func (d *Device) openBest(ctx context.Context, id int) (*xdp.Socket, error) {
	o := d.SocketOptions(id)
	if o.Mode == xdp.ModeCopy {
		return d.bind(ctx, o)
	}
	err := d.lacksZeroCopy()
	if err == nil || o.Mode == xdp.ModeZeroCopy {
		var sock *xdp.Socket
		if sock, err = d.openZeroCopy(ctx, o); err == nil {
			d.zeroCopy.noteGranted(id)
			return sock, nil
		}
	}
	o, ok := xdp.CopyAfter(ctx, o, err)
	if !ok || d.zeroCopy.retry(id, time.Now()) {
		return nil, err
	}
	sock, copyErr := d.bind(ctx, o)
	if copyErr == nil && !d.zeroCopy.everGranted() && d.passProgram.on.Load() {
		d.detachUseless(ctx, err)
	}
	return sock, copyErr
}

// lacksZeroCopy is the reason why a driver has no zero-copy, by its own word. Where drivers are asked what they can, Linux 6.3 and
// later, the kernel refuses a zero-copy bind by that same word (xp_assign_dev in net/xdp/xsk_buff_pool.c), so that a try would
// take a few milliseconds for the same answer.
func (d *Device) lacksZeroCopy() error {
	if f := d.facts.of(d.ifname, d.log); f.DeviceErr != nil || f.Device.XDP.ZeroCopy() {
		return nil
	}
	return fmt.Errorf("zero-copy on %s: %w: the driver does not announce it: %w", d.ifname, xdp.ErrNotSupported, unix.EOPNOTSUPP)
}

// openZeroCopy tries zero-copy, on a device that only sends with a program of its own.
func (d *Device) openZeroCopy(ctx context.Context, o xdp.Options) (*xdp.Socket, error) {
	if err := d.zeroCopyRuledOut(); err != nil {
		return nil, err
	}
	o.Mode, o.MultiBuffer = xdp.ModeZeroCopy, d.wantsSeveral(&o)
	d.sizeForZeroCopy(&o)
	before, fresh := d.LinkNow(), false
	if d.wantsProgram() {
		var err error
		if fresh, err = d.passProgram.attach(d.Index); err != nil && !heldNatively(err) {
			return nil, fmt.Errorf("zero-copy on %s: %w without an XDP program on the interface, which is not to be had: %w",
				d.ifname, xdp.ErrNotSupported, err)
		}
		if fresh {
			d.awaitCarrier(ctx, before, "attaching an XDP program")
		}
	}
	sock, err := d.bind(ctx, o)
	if err != nil {
		// It stays where the queue had zero-copy before, or is busy: a driver that resets, or a queue that was just
		// closed, is ready a moment later.
		if fresh && !d.zeroCopy.hadGranted(int(o.Queue)) && !errors.Is(err, unix.EBUSY) {
			d.detachUseless(ctx, err)
		}
		return nil, err
	}
	d.awaitCarrier(ctx, before, "a zero-copy bind")
	if fresh {
		d.log.Info("an XDP program that passes everything is attached: the driver wants one for zero-copy",
			"interface", d.ifname)
	}
	return sock, nil
}

// wantsSeveral reports whether a socket in zero-copy is asked for frames of several chunks. Where it is, the driver may not use a chunk
// to its end, but for 320 bytes and what is left over of 128 (include/net/xdp_sock_drv.h, xsk_pool_get_rx_frame_size, since April 2026
// from Linux 6.6 on): of 2048 bytes 1408 are left, and a full frame of an MTU of 1500 would come in two, which the program passes to
// the kernel's stack.
func (d *Device) wantsSeveral(o *xdp.Options) bool {
	if d.program != nil && d.program.FrameChunks > 1 {
		return true
	}
	return longestFrame(d.mtu) > chunkSize(o)-int(o.Headroom)-send.GenerationRoom-xdp.TxMetadataLen
}

// detachUseless takes off a program that has not led to zero-copy.
func (d *Device) detachUseless(ctx context.Context, why error) {
	before := d.LinkNow()
	if err := d.passProgram.detachUseless(why, time.Now()); err != nil {
		d.log.Warn("detach the XDP program for zero-copy", "interface", d.ifname, "err", err)
	}
	d.awaitCarrier(ctx, before, "detaching the XDP program")
}

// busyGrace is how long the kernel may take to give a queue back that was closed, 10 to 31 ms and more where it is
// busy.
const busyGrace = 100 * time.Millisecond

// bind opens a socket. A queue that is busy for longer than one that was closed is taken for somebody else's. Traffic
// that waits for it is told, and tries again beside (QueueFor), and so does a queue that needs another socket; other callers wait as
// long as the options say, also for the locked memory of a socket that was closed.
func (d *Device) bind(ctx context.Context, o xdp.Options) (*xdp.Socket, error) {
	if o.BindTimeout < 0 {
		return xdp.OpenContext(ctx, o)
	}
	first, patient := o, o.BindTimeout == 0 || o.BindTimeout > busyGrace
	if patient {
		first.BindTimeout = busyGrace
	}
	sock, err := xdp.OpenContext(ctx, first)
	busy := errors.Is(err, unix.EBUSY)
	if !busy && !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
		return sock, err
	}
	if busy {
		d.noteBusy(int(o.Queue), err)
	}
	if !patient || d.hurried.Load() == int32(o.Queue)+1 || d.isOpen(int(o.Queue)) {
		return nil, err
	}
	return xdp.OpenContext(ctx, o)
}

// heldNatively reports whether a program was not attached because another is there that serves as well.
func heldNatively(err error) bool {
	var conflict *bpf.ConflictError
	return errors.As(err, &conflict) && slices.ContainsFunc(conflict.Holders, func(h bpf.Holder) bool {
		return h.Mode == bpf.Native
	})
}

// zeroCopyRuledOut is the reason why zero-copy is out of question on an interface whose program runs above the driver:
// some drivers grant the bind all the same, and then serve nothing.
func (d *Device) zeroCopyRuledOut() error {
	if d.program == nil {
		return nil
	}
	a := d.program.attachment()
	if a == nil || a.Mode() == bpf.Native {
		return nil
	}
	why := errGenericWanted
	if fallback := a.Fallback(); fallback != nil {
		why = fallback
	}
	return fmt.Errorf("zero-copy on %s: %w: the XDP program runs in generic mode: %w", d.ifname, xdp.ErrNotSupported, why)
}

var errGenericWanted = errors.New("it was asked for so; leave the choice of its mode to wsk-xdp")

// wantsProgram reports whether a driver with zero-copy should have a program on a device that only sends. All should:
// igb, igc, ixgbe, i40e and ice serve no queue without one, mlx5 refuses the bind, and virtio-net, which serves it,
// then drops what the host receives on it, since only a program turns off the offloads whose frames its zero-copy path
// can't take (Linux 7.3).
func (d *Device) wantsProgram() bool {
	if d.program != nil {
		return false // there is one
	}
	f := d.facts.of(d.ifname, d.log)
	if f.DeviceErr == nil {
		return f.Device.XDP.ZeroCopy()
	}
	return zeroCopyDrivers[f.Driver]
}

// zeroCopyDrivers are the drivers with zero-copy before Linux 6.3, where the kernel does not tell.
var zeroCopyDrivers = map[string]bool{
	"i40e": true, "ice": true, "ixgbe": true, "igc": true, "mlx5_core": true, "nfp": true, "st_gmac": true,
	"stmmaceth": true,
}

// sizeForZeroCopy gives the driver as much memory to receive into as its own ring holds, and as much again for what is
// on its way. A queue that only sends needs it as well: see xdp.Options.NoRX.
func (d *Device) sizeForZeroCopy(o *xdp.Options) {
	want := 2 * d.facts.of(d.ifname, d.log).HardwareRings.RX
	switch {
	case o.RxChunks == 0:
		o.NoRX, o.RxChunks = true, min(max(want, leastHostChunks), mostHostChunks)
	case d.set.Opts.Socket.RxChunks == 0:
		o.RxChunks = min(max(want, o.RxChunks), mostHostChunks)
	}
}

const (
	leastHostChunks = 512
	mostHostChunks  = 16384
)
