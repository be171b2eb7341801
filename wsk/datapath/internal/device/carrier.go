// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// link is what the kernel says of the link of one interface.
type link struct {
	log     *slog.Logger
	inNetNS func(func() error) error
	Index   int
	ifname  string

	Link    func() send.LinkState // if set, answers for netlink: for tests without a kernel
	Carrier carrierCache
	waits   linkWaits
}

// LinkNow asks the kernel. IFF_LOWER_UP is what drivers look at themselves, while the events of netlink are late by up
// to a second. A question that gets no answer counts as a link that is fine: the caller has better evidence then.
func (k *link) LinkNow() send.LinkState {
	lockrank.AssertMay(locks.Ask, "to ask for the state of a link")
	if k.Link != nil {
		return k.Link()
	}
	s := send.LinkState{Exists: true, Up: true, Carrier: true}
	err := k.inNetNS(func() error {
		l, err := netlink.LinkByIndex(k.Index)
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
		k.log.Debug("ask for the state of a link", "interface", k.ifname, "err", err)
	}
	return s
}

// carrierCache remembers for a moment whether a device has a carrier: the question is asked for each dropped frame.
type carrierCache struct {
	Mu    lockrank.Mutex[locks.CarrierMu]
	Until time.Time
	Up    bool
}

const carrierCacheTime = 5 * time.Millisecond

// HasCarrier asks for what the kernel drops by: a driver's own word (ethtool) runs ahead of it while a link comes up.
// A device that is gone is another matter.
func (k *link) HasCarrier() bool {
	c := &k.Carrier
	c.Mu.Lock()
	defer c.Mu.Unlock()
	now := time.Now()
	if now.Before(c.Until) {
		return c.Up
	}
	link := k.LinkNow()
	c.Up = link.Carrier || !link.Exists
	c.Until = now.Add(carrierCacheTime)
	return c.Up
}

const (
	// carrierLimit bounds the wait for a link that went down because of what was done to it: ixgbe and igb take two to
	// four seconds, a switch with spanning tree longer than anybody wants to wait.
	carrierLimit = 10 * time.Second
	// carrierSettle is how long a link must have stayed up to count as one that did not go down: some drivers begin
	// their reset a moment after they have answered.
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

// awaitCarrier waits until a link that had a carrier before has one again, after something that makes many drivers
// reset: attaching an XDP program in native mode, or a zero-copy bind.
func (k *link) awaitCarrier(ctx context.Context, before send.LinkState, after string) {
	if !before.Up || !before.Carrier {
		return
	}
	start, lost := time.Now(), false
	for {
		now := k.LinkNow()
		since := time.Since(start)
		switch {
		case !now.Up, ctx.Err() != nil:
			return
		case !now.Carrier:
			lost = true
		case lost:
			k.noteCarrier(since, false)
			k.log.Info("the link went down and is back", "interface", k.ifname, "after", after,
				"took", since.Round(time.Millisecond))
			return
		case since >= carrierSettle:
			return
		}
		if since >= carrierLimit {
			k.noteCarrier(since, true)
			k.log.Warn("the link went down and is not back; datagrams wait for it", "interface", k.ifname, "after", after,
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

func (k *link) noteCarrier(waited time.Duration, late bool) {
	k.waits.mu.Lock()
	defer k.waits.mu.Unlock()
	k.waits.drops++
	k.waits.time += waited
	k.waits.late = late
}
