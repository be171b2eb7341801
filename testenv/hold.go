// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	holdDevice = "wsk-hold"
	// holdQueue bounds, in bytes, what is held: above it the kernel drops.
	holdQueue = 256 << 20
	// holdRate lets one byte a second through, so that a frame of 1514 bytes at the head blocks for 25 minutes.
	holdRate = 1
	// etherTypeFiller is the local experimental EtherType (IEEE 802a); nothing listens to it.
	etherTypeFiller = 0x88b5
)

// Hold keeps received frames, unprocessed and not freed, at the interface that [Iface.HoldReceive] was called on.
type Hold struct {
	rx, tx *Iface
	ifb    int
}

// HoldReceive stops reception at the interface: frames wait in a queue behind it instead of being processed or freed,
// so the sender's completions (which the kernel gives when it frees a frame) stay out, whatever the sender does. far
// is the other end of the veth, from where it primes the queue with a few frames of an experimental EtherType.
//
//	A wsk0 ──► wsk1 ingress ─redirect─► wsk-hold (ifb) tbf 1 byte/s ─► wsk1 stack
//
// It works without root. XDP at the interface comes before it and must not be in use.
func (i *Iface) HoldReceive(far *Iface) (*Hold, error) {
	h, err := i.ns.Netlink()
	if err != nil {
		return nil, err
	}
	attrs, err := i.Attrs()
	if err != nil {
		return nil, err
	}
	hold := &Hold{rx: i, tx: far}
	fail := func(err error) (*Hold, error) {
		return nil, fmt.Errorf("hold reception at %s: %w", i.name, errors.Join(err, hold.Drop()))
	}
	if hold.ifb, err = ifbDevice(h, holdDevice, true); err != nil {
		return fail(err)
	}
	// The bucket holds one full frame; tbf drops anything longer.
	burst := uint32(attrs.MTU + 64)
	if err := replaceTBF(h, i.ns, hold.ifb, holdRate, burst); err != nil {
		return fail(err)
	}
	if err := i.addIngress(h); err != nil {
		return fail(err)
	}
	if err := i.addRedirect(h, holdPriority, unix.ETH_P_ALL, matchAll(), hold.ifb); err != nil {
		return fail(err)
	}
	// Two fillers of a bucket's size: the first empties the bucket, the second stays at the head of the queue and
	// everything waits behind it.
	for range 2 {
		if err := hold.filler(attrs.MTU); err != nil {
			return fail(err)
		}
	}
	return hold, nil
}

func (d *Hold) filler(mtu int) error {
	frame := make([]byte, 14+mtu)
	copy(frame, d.rx.MAC())
	copy(frame[6:], d.tx.MAC())
	frame[12], frame[13] = etherTypeFiller>>8, etherTypeFiller&0xff
	return d.tx.SendFrame(frame)
}

// Held returns the number of frames that wait, not counting the filler.
func (d *Hold) Held() (int, error) {
	n, err := d.backlog()
	return max(n-1, 0), err
}

func (d *Hold) backlog() (int, error) {
	h, err := d.rx.ns.Netlink()
	if err != nil {
		return 0, err
	}
	list, err := Dump(func() ([]netlink.Qdisc, error) {
		return h.QdiscList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: d.ifb}})
	})
	if err != nil {
		return 0, fmt.Errorf("list qdiscs of %s: %w", holdDevice, err)
	}
	for _, q := range list {
		if q.Type() == "tbf" && q.Attrs().Statistics != nil && q.Attrs().Statistics.Queue != nil {
			return int(q.Attrs().Statistics.Queue.Qlen), nil
		}
	}
	return 0, fmt.Errorf("read queue of %s: no statistics", holdDevice)
}

// Release lets everything that waits go on to the stack, in order, and ends the hold.
func (d *Hold) Release() error {
	h, err := d.rx.ns.Netlink()
	if err != nil {
		return err
	}
	attrs, err := d.rx.Attrs()
	if err != nil {
		return err
	}
	// A faster rate alone does not wake the queue: its timer still waits for the old one. The next frame does.
	if err := replaceTBF(h, d.rx.ns, d.ifb, 1<<31, 1<<30); err != nil {
		return fmt.Errorf("release %s: %w", d.rx.name, err)
	}
	if err := d.filler(attrs.MTU); err != nil {
		return fmt.Errorf("release %s: %w", d.rx.name, err)
	}
	// The kernel sends no event when a queue runs empty.
	ctx, cancel := context.WithTimeout(context.Background(), Patience(setupTimeout))
	defer cancel()
	if err := Poll(ctx, "held frames to leave", func() (bool, error) {
		n, err := d.backlog()
		return n == 0, err
	}); err != nil {
		return err
	}
	return d.rx.deleteRedirect(h, holdPriority, unix.ETH_P_ALL)
}

// Drop frees everything that waits without delivering it, and ends the hold. A second Drop does nothing.
func (d *Hold) Drop() error {
	h, err := d.rx.ns.Netlink()
	if err != nil {
		return err
	}
	errs := []error{d.rx.deleteRedirect(h, holdPriority, unix.ETH_P_ALL)}
	if d.ifb != 0 {
		err := h.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: holdDevice, Index: d.ifb}})
		if err != nil && !linkMissing(err) {
			errs = append(errs, fmt.Errorf("delete %s: %w", holdDevice, err))
		}
	}
	return errors.Join(errs...)
}

// replaceTBF sets a token bucket as root of the device. The request is built here because package netlink gives the
// burst in time only, which the kernel cuts at 4.3 s: too little for a rate this low.
func replaceTBF(h *netlink.Handle, ns *Namespace, ifindex int, bytesPerSecond, burst uint32) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{
		Family: nl.FAMILY_ALL, Ifindex: int32(ifindex), Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT,
	})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("tbf")))
	opt := nl.TcTbfQopt{Limit: holdQueue}
	opt.Rate.Rate = bytesPerSecond
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_TBF_PARMS, opt.Serialize())
	options.AddRtAttr(nl.TCA_TBF_BURST, nl.Uint32Attr(burst))
	req.AddData(options)
	err := ns.Do(func() error {
		_, err := req.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("set tbf (needs CONFIG_NET_SCH_TBF): %w", err)
	}
	return nil
}
