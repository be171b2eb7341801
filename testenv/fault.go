// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// SetDown takes the interface down administratively and waits until that shows. Its peer loses carrier; the kernel
// forgets its neighbours and its IPv6 addresses.
func (i *Iface) SetDown() error {
	err := i.change("set down", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) })
	if err != nil {
		return err
	}
	return i.AwaitOper(netlink.OperDown, setupTimeout)
}

// SetUp takes the interface up administratively and waits for carrier, which comes only if the peer is up too, and
// for its addresses. IPv6 addresses that SetDown lost are not restored: add them again.
func (i *Iface) SetUp() error {
	if err := i.up(); err != nil {
		return err
	}
	return i.awaitReady()
}

// SetMTU changes the MTU.
func (i *Iface) SetMTU(mtu int) error {
	return i.change(fmt.Sprintf("set MTU %d", mtu), func(h *netlink.Handle, l netlink.Link) error {
		return h.LinkSetMTU(l, mtu)
	})
}

// SetMAC changes the link layer address while the interface is up. IPv4 neighbours learn it only by asking again.
func (i *Iface) SetMAC(mac net.HardwareAddr) error {
	err := i.change(fmt.Sprintf("set MAC %v", mac), func(h *netlink.Handle, l netlink.Link) error {
		return h.LinkSetHardwareAddr(l, mac)
	})
	if err == nil {
		i.mu.Lock()
		i.mac = slices.Clone(mac)
		i.mu.Unlock()
	}
	return err
}

// SetARP turns the interface's ARP off or on (IFF_NOARP): without, it neither asks nor answers. Neighbour discovery of
// IPv6 goes on; [Iface.Silence] stops both.
func (i *Iface) SetARP(on bool) error {
	return i.change(fmt.Sprintf("set ARP %v", on), func(h *netlink.Handle, l netlink.Link) error {
		if on {
			return h.LinkSetARPOn(l)
		}
		return h.LinkSetARPOff(l)
	})
}

// Delete removes the interface, and its peer with it if it is a veth, and waits until it is gone.
func (i *Iface) Delete() error {
	err := i.change("delete", func(h *netlink.Handle, l netlink.Link) error { return h.LinkDel(l) })
	if err != nil && !linkMissing(err) {
		return err
	}
	return i.AwaitGone(setupTimeout)
}

// silenceDevice is where unwanted frames go: redirecting to a device that is down drops them, and needs neither a BPF
// program nor act_gact, so it works without root and on small kernels.
const silenceDevice = "wsk-silence"

// Silence makes the interface deaf to ARP requests and neighbour solicitations: its host stays up and receives
// everything else, but nobody can resolve it any more. It works without root. Speak undoes it.
//
// It filters after XDP: a native program at this interface still sees the frames.
func (i *Iface) Silence() error {
	h, err := i.ns.Netlink()
	if err != nil {
		return err
	}
	sink, err := ifbDevice(h, silenceDevice, false)
	if err != nil {
		return fmt.Errorf("silence %s: %w", i.name, err)
	}
	if err := i.addIngress(h); err != nil {
		return fmt.Errorf("silence %s: %w", i.name, err)
	}
	// ICMPv6 type 135, neighbour solicitation: next header at 6, type at 40 of the IPv6 header.
	solicitation := &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Nkeys: 2, Keys: []netlink.TcU32Key{
		{Mask: 0x0000ff00, Val: 58 << 8, Off: 4},
		{Mask: 0xff000000, Val: 135 << 24, Off: 40},
	}}
	for _, f := range []struct {
		priority uint16
		protocol uint16
		sel      *netlink.TcU32Sel
	}{{silencePriority, unix.ETH_P_ARP, matchAll()}, {silencePriority + 1, unix.ETH_P_IPV6, solicitation}} {
		if err := i.addRedirect(h, f.priority, f.protocol, f.sel, sink); err != nil {
			return fmt.Errorf("silence %s: %w", i.name, errors.Join(err, i.Speak()))
		}
	}
	return nil
}

// Speak undoes Silence.
func (i *Iface) Speak() error {
	h, err := i.ns.Netlink()
	if err != nil {
		return err
	}
	return errors.Join(
		i.deleteRedirect(h, silencePriority, unix.ETH_P_ARP),
		i.deleteRedirect(h, silencePriority+1, unix.ETH_P_IPV6),
	)
}
