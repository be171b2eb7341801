// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// errNotYet is how a condition says that the next event may make it true.
var errNotYet = errors.New("not yet")

// await waits until cond returns nil, checking it at the start and again after every message of the netlink groups.
// Subscribing comes first, so no change falls between a check and the wait. Any error but errNotYet ends it.
func (n *Namespace) await(timeout time.Duration, what string, groups []uint, cond func(h *netlink.Handle) error) error {
	h, err := n.Netlink()
	if err != nil {
		return err
	}
	// Most conditions hold already.
	if err := cond(h); !errors.Is(err, errNotYet) {
		return err
	}
	var sock *nl.NetlinkSocket
	err = n.Do(func() (err error) {
		sock, err = nl.Subscribe(unix.NETLINK_ROUTE, groups...)
		return err
	})
	if err != nil {
		return fmt.Errorf("subscribe to netlink: %w", err)
	}
	defer sock.Close()
	deadline := time.Now().Add(Patience(timeout))
	for {
		err := cond(h)
		if !errors.Is(err, errNotYet) {
			return err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("wait for %s: nothing after %v: %w", what, timeout, err)
		}
		tv := unix.NsecToTimeval(max(left, time.Millisecond).Nanoseconds())
		if err := sock.SetReceiveTimeout(&tv); err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if _, _, err := sock.Receive(); err != nil && !transientReceive(err) {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
	}
}

// transientReceive: a timeout is judged by the deadline, and an overrun (ENOBUFS) only means that there was an event.
func transientReceive(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOBUFS)
}

var (
	linkGroups  = []uint{unix.RTNLGRP_LINK}
	readyGroups = []uint{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR}
)

func (i *Iface) up() error {
	return i.change("set up", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetUp(l) })
}

// awaitReady waits until the interface carries and none of its addresses is tentative.
func (i *Iface) awaitReady() error {
	return i.ns.await(setupTimeout, "link "+i.name+" and its addresses", readyGroups, func(h *netlink.Handle) error {
		l, err := h.LinkByIndex(i.Index())
		if err != nil {
			return err
		}
		if l.Attrs().OperState != netlink.OperUp {
			return fmt.Errorf("operstate %v: %w", l.Attrs().OperState, errNotYet)
		}
		addrs, err := Dump(func() ([]netlink.Addr, error) { return h.AddrList(l, unix.AF_INET6) })
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if a.Flags&unix.IFA_F_TENTATIVE != 0 {
				return fmt.Errorf("address %v tentative: %w", a.IPNet, errNotYet)
			}
		}
		return nil
	})
}

// AwaitOper waits until the interface has the operational state.
func (i *Iface) AwaitOper(state netlink.LinkOperState, timeout time.Duration) error {
	return i.ns.await(timeout, fmt.Sprintf("%s to be %v", i.name, state), linkGroups, func(h *netlink.Handle) error {
		l, err := h.LinkByIndex(i.Index())
		if err != nil {
			return err
		}
		if got := l.Attrs().OperState; got != state {
			return fmt.Errorf("operstate %v: %w", got, errNotYet)
		}
		return nil
	})
}

// AwaitDown waits until the interface is not up any more, be it set down or without carrier.
func (i *Iface) AwaitDown(timeout time.Duration) error {
	return i.ns.await(timeout, i.name+" to be down", linkGroups, func(h *netlink.Handle) error {
		l, err := h.LinkByIndex(i.Index())
		if err != nil {
			return err
		}
		if l.Attrs().OperState == netlink.OperUp {
			return errNotYet
		}
		return nil
	})
}

// AwaitGone waits until the interface does not exist any more.
func (i *Iface) AwaitGone(timeout time.Duration) error {
	return i.ns.await(timeout, i.name+" to vanish", linkGroups, func(h *netlink.Handle) error {
		_, err := h.LinkByIndex(i.Index())
		switch {
		case linkMissing(err):
			return nil
		case err != nil:
			return err
		}
		return errNotYet
	})
}

func linkMissing(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing) || errors.Is(err, unix.ENODEV)
}
