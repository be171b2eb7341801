// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// LinkNow asks the kernel. IFF_LOWER_UP is what drivers look at themselves, while the events of netlink are late by up to
// a second. A question that gets no answer counts as a link that is fine: whoever asks has better evidence then.
func (d *Device) LinkNow() send.LinkState {
	lockrank.AssertMay(locks.Ask, "to ask for the state of a link")
	if d.Link != nil {
		return d.Link()
	}
	s := send.LinkState{Exists: true, Up: true, Carrier: true}
	err := d.Set.InNetNS(func() error {
		l, err := netlink.LinkByIndex(d.Index)
		var missing netlink.LinkNotFoundError
		switch {
		case errors.As(err, &missing), errors.Is(err, unix.ENODEV):
			s = send.LinkState{}
			return nil
		case err != nil:
			return err
		}
		flags := l.Attrs().RawFlags
		s.Up, s.Carrier = flags&unix.IFF_UP != 0, flags&unix.IFF_LOWER_UP != 0
		return nil
	})
	if err != nil {
		d.Set.Log.Debug("ask for the state of a link", "interface", d.name, "err", err)
	}
	return s
}

const (
	// carrierLimit bounds the wait for a link that went down because of what was done to it: ixgbe and igb take two to four
	// seconds, a switch with spanning tree longer than anybody wants to wait.
	carrierLimit = 10 * time.Second
	// carrierSettle is how long a link must have stayed up to count as one that did not go down: some drivers begin their
	// reset a moment after they have answered.
	carrierSettle = 50 * time.Millisecond
	carrierLook   = 10 * time.Millisecond
)

// linkWaits is what was waited for carrier on one device.
type linkWaits struct {
	mu    lockrank.Mutex[locks.WaitsMu]
	drops int
	time  time.Duration
	late  bool // the last wait ended without carrier
}

func (w *linkWaits) snapshot() (drops int, waited time.Duration, late bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drops, w.time, w.late
}

// awaitCarrier waits until a link that had a carrier before has one again, after something that makes many drivers reset:
// attaching an XDP program in native mode, or a zero-copy bind.
func (d *Device) awaitCarrier(ctx context.Context, before send.LinkState, after string) {
	if !before.Up || !before.Carrier {
		return
	}
	start, lost := time.Now(), false
	for {
		now := d.LinkNow()
		since := time.Since(start)
		switch {
		case !now.Up, ctx.Err() != nil:
			return
		case !now.Carrier:
			lost = true
		case lost:
			d.noteCarrier(since, false)
			d.Set.Log.Info("the link went down and is back", "interface", d.name, "after", after, "took", since.Round(time.Millisecond))
			return
		case since >= carrierSettle:
			return
		}
		if since >= carrierLimit {
			d.noteCarrier(since, true)
			d.Set.Log.Warn("the link went down and is not back; datagrams wait for it", "interface", d.name, "after", after,
				"waited", since.Round(time.Millisecond))
			return
		}
		timer := time.NewTimer(carrierLook)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (d *Device) noteCarrier(waited time.Duration, late bool) {
	d.waits.mu.Lock()
	defer d.waits.mu.Unlock()
	d.waits.drops++
	d.waits.time += waited
	d.waits.late = late
}
