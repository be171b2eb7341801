// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNotSupported is wrapped by errors about something that this kernel lacks.
var ErrNotSupported = errors.New("not supported by this kernel")

// Macvlan puts a macvlan in bridge mode on the interface and waits until it can be used. An empty mac lets the kernel
// choose.
func (i *Iface) Macvlan(name string, mac net.HardwareAddr, addrs ...netip.Prefix) (*Iface, error) {
	// Otherwise the lower interface answers ARP for the macvlan's address, with its own.
	if err := i.ns.Sysctl("ipv4/conf/"+i.name+"/arp_ignore", "1"); err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr = name, i.Index(), mac
	return i.stack(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}, addrs)
}

// VLAN puts an 802.1Q device on the interface. The error wraps ErrNotSupported where the kernel has no 8021q; tests
// then send and capture tagged frames instead.
func (i *Iface) VLAN(name string, id uint16, addrs ...netip.Prefix) (*Iface, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = name, i.Index()
	return i.stack(&netlink.Vlan{LinkAttrs: attrs, VlanId: int(id), VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}, addrs)
}

// Bridge makes a bridge, puts the interface into it, and moves addrs (which the interface must have) to the bridge.
// Spanning tree and multicast snooping are off, so that the port forwards at once.
func (i *Iface) Bridge(name string, addrs ...netip.Prefix) (*Iface, error) {
	h, err := i.ns.Netlink()
	if err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	// With the port's own address neighbours need not be told that anything changed.
	attrs.Name, attrs.HardwareAddr = name, i.MAC()
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := h.LinkAdd(bridge); err != nil {
		return nil, stackError("bridge", name, i, err)
	}
	for _, a := range addrs {
		if err := i.DeleteAddr(a); err != nil {
			return nil, err
		}
	}
	b, err := FindIface(i.ns, name)
	if err != nil {
		return nil, err
	}
	if err := h.LinkSetMaster(i.link(), b.link()); err != nil {
		return nil, fmt.Errorf("put %s into bridge %s: %w", i.name, name, err)
	}
	return b, b.start(addrs)
}

func (i *Iface) stack(l netlink.Link, addrs []netip.Prefix) (*Iface, error) {
	h, err := i.ns.Netlink()
	if err != nil {
		return nil, err
	}
	if err := h.LinkAdd(l); err != nil {
		return nil, stackError(l.Type(), l.Attrs().Name, i, err)
	}
	upper, err := FindIface(i.ns, l.Attrs().Name)
	if err != nil {
		return nil, err
	}
	return upper, upper.start(addrs)
}

func stackError(kind, name string, on *Iface, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("create %s %s on %s: %w: %w", kind, name, on.name, ErrNotSupported, err)
	}
	return fmt.Errorf("create %s %s on %s: %w%s", kind, name, on.name, err, privilegeHint(err))
}

func (i *Iface) start(addrs []netip.Prefix) error {
	for _, p := range addrs {
		if err := i.AddAddr(p); err != nil {
			return err
		}
	}
	return i.SetUp()
}
