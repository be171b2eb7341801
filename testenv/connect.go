// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"time"

	"github.com/vishvananda/netlink"
)

// Connect makes a veth pair between two namespaces as [NewLab] does: a further link of a lab, or one that was deleted
// again. Names, MAC addresses and addresses are those of the ends; offloads are off. index is that of the near end, 0
// for the kernel's choice. It returns when both ends can be used.
func Connect(aNS *Namespace, a End, index int, bNS *Namespace, b End, mtu int) (near, far *Iface, err error) {
	for _, e := range []*End{&a, &b} {
		e.TX, e.RX = max(e.TX, 1), max(e.RX, 1)
	}
	if near, far, err = newVeth(aNS, a, index, bNS, b, mtu); err != nil {
		return nil, nil, err
	}
	for _, e := range []struct {
		i   *Iface
		end End
	}{{near, a}, {far, b}} {
		if err := e.i.DisableOffloads(); err != nil {
			return nil, nil, err
		}
		for _, p := range e.end.Addrs {
			if err := e.i.AddAddr(p); err != nil {
				return nil, nil, err
			}
		}
		if err := e.i.up(); err != nil {
			return nil, nil, err
		}
	}
	for _, i := range []*Iface{near, far} {
		if err := i.awaitReady(); err != nil {
			return nil, nil, err
		}
	}
	return near, far, nil
}

// StartUp takes the interface up without waiting for anything.
func (i *Iface) StartUp() error { return i.up() }

// StartDown takes the interface down without waiting for anything.
func (i *Iface) StartDown() error {
	return i.change("set down", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) })
}

// Rename gives the interface another name, for which it is taken down and up again. The value returned has it.
func (i *Iface) Rename(name string) (*Iface, error) {
	if err := i.SetDown(); err != nil {
		return nil, err
	}
	err := i.change("rename", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetName(l, name) })
	if err != nil {
		return nil, err
	}
	renamed, err := FindIface(i.ns, name)
	if err != nil {
		return nil, err
	}
	return renamed, renamed.SetUp()
}

// Move puts the interface into another namespace, where it is down and has no addresses.
func (i *Iface) Move(to *Namespace) (*Iface, error) {
	err := i.change("move", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetNsFd(l, to.FD()) })
	if err != nil {
		return nil, err
	}
	return FindIface(to, i.Name())
}

// Inventory is what a process holds, to be compared with what it holds later.
type Inventory struct{ inv inventory }

// TakeInventory counts descriptors, socket mappings and goroutines.
func TakeInventory() *Inventory { return &Inventory{takeInventory()} }

// Leaks returns what is there now and was not then, giving it some time to go (see Patience).
func (v *Inventory) Leaks(settle time.Duration) []string { return v.inv.leaks(settle) }
