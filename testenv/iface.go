// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Indices of the veth ends on whose side a pair is made; the other ends get what their namespace has free, from 2 on.
// See the package comment for why they must differ.
const (
	indexA  = 10
	indexRB = 20
)

// Iface is a network interface inside a namespace. Its methods change it and return when the kernel has taken the
// change; they may be called concurrently.
type Iface struct {
	ns   *Namespace
	name string

	mu    sync.Mutex // guards what follows
	index int
	mac   net.HardwareAddr
}

// Namespace returns the namespace that the interface is in. It is not the caller's to close.
func (i *Iface) Namespace() *Namespace { return i.ns }

// Name returns the interface name.
func (i *Iface) Name() string { return i.name }

// Index returns the interface index inside its namespace.
func (i *Iface) Index() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.index
}

// MAC returns the link layer address, as far as it was set through this package.
func (i *Iface) MAC() net.HardwareAddr {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.mac)
}

// FindIface looks an existing interface up by name.
func FindIface(ns *Namespace, name string) (*Iface, error) {
	h, err := ns.Netlink()
	if err != nil {
		return nil, err
	}
	l, err := h.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", name, err)
	}
	return &Iface{ns: ns, name: name, index: l.Attrs().Index, mac: l.Attrs().HardwareAddr}, nil
}

// newVeth makes a veth pair, each end in its namespace with all its properties, in one request. The index is that of
// a, 0 for the kernel's choice.
func newVeth(aNS *Namespace, a End, index int, bNS *Namespace, b End, mtu int) (*Iface, *Iface, error) {
	h, err := aNS.Netlink()
	if err != nil {
		return nil, nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index, attrs.MTU, attrs.HardwareAddr = a.Name, index, mtu, a.MAC
	attrs.NumTxQueues, attrs.NumRxQueues = a.TX, a.RX
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerMTU, veth.PeerHardwareAddr = b.Name, uint32(mtu), b.MAC
	veth.PeerNumTxQueues, veth.PeerNumRxQueues = uint32(b.TX), uint32(b.RX)
	veth.PeerNamespace = netlink.NsFd(bNS.FD())
	if err := h.LinkAdd(veth); err != nil {
		return nil, nil, fmt.Errorf("create veth %s-%s: %w%s", a.Name, b.Name, err, privilegeHint(err))
	}
	near, err := FindIface(aNS, a.Name)
	if err != nil {
		return nil, nil, err
	}
	far, err := FindIface(bNS, b.Name)
	if err != nil {
		return nil, nil, err
	}
	return near, far, nil
}

// link returns a netlink value that names the interface by index.
func (i *Iface) link() netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: i.name, Index: i.Index()}}
}

func (i *Iface) change(what string, f func(h *netlink.Handle, l netlink.Link) error) error {
	h, err := i.ns.Netlink()
	if err != nil {
		return err
	}
	if err := f(h, i.link()); err != nil {
		return fmt.Errorf("%s on %s: %w", what, i.name, err)
	}
	return nil
}

// Attrs asks the kernel for the present state of the interface.
func (i *Iface) Attrs() (*netlink.LinkAttrs, error) {
	h, err := i.ns.Netlink()
	if err != nil {
		return nil, err
	}
	l, err := h.LinkByIndex(i.Index())
	if err != nil {
		return nil, fmt.Errorf("query interface %s: %w", i.name, err)
	}
	return l.Attrs(), nil
}

// AddAddr adds an address that can be used at once: IPv6 without duplicate address detection.
func (i *Iface) AddAddr(p netip.Prefix) error {
	return i.change(fmt.Sprintf("add address %v", p), func(h *netlink.Handle, l netlink.Link) error {
		addr := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		return h.AddrAdd(l, addr)
	})
}

// DeleteAddr removes an address.
func (i *Iface) DeleteAddr(p netip.Prefix) error {
	return i.change(fmt.Sprintf("delete address %v", p), func(h *netlink.Handle, l netlink.Link) error {
		return h.AddrDel(l, &netlink.Addr{IPNet: ipNet(p)})
	})
}

// SetNeighbour enters a permanent neighbour, or replaces one.
func (i *Iface) SetNeighbour(ip netip.Addr, mac net.HardwareAddr) error {
	return i.change(fmt.Sprintf("set neighbour %v", ip), func(h *netlink.Handle, l netlink.Link) error {
		return h.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, Family: family(ip), State: unix.NUD_PERMANENT,
			Type: unix.RTN_UNICAST, IP: ip.AsSlice(), HardwareAddr: mac})
	})
}

// DeleteNeighbour forgets a neighbour.
func (i *Iface) DeleteNeighbour(ip netip.Addr) error {
	return i.change(fmt.Sprintf("delete neighbour %v", ip), func(h *netlink.Handle, l netlink.Link) error {
		return h.NeighDel(&netlink.Neigh{LinkIndex: l.Attrs().Index, Family: family(ip), IP: ip.AsSlice()})
	})
}

// Neighbour returns the kernel's entry for ip; ok is false when there is none.
func (i *Iface) Neighbour(ip netip.Addr) (entry netlink.Neigh, ok bool, err error) {
	h, err := i.ns.Netlink()
	if err != nil {
		return entry, false, err
	}
	list, err := Dump(func() ([]netlink.Neigh, error) { return h.NeighList(i.Index(), family(ip)) })
	if err != nil {
		return entry, false, fmt.Errorf("list neighbours of %s: %w", i.name, err)
	}
	for _, n := range list {
		if got, valid := netip.AddrFromSlice(n.IP); valid && got.Unmap() == ip {
			return n, true, nil
		}
	}
	return entry, false, nil
}

func family(ip netip.Addr) int {
	if ip.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
