// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddMapped adds an IPv6 address in the v4-mapped form, which package netlink takes for one of IPv4, and waits until the host takes
// it for its own.
func (i *Iface) AddMapped(a netip.Addr) error {
	message := nl.NewIfAddrmsg(unix.AF_INET6)
	message.Prefixlen, message.Index, message.IfAddrmsg.Flags = 128, uint32(i.Index()), unix.IFA_F_NODAD
	request := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	request.AddData(message)
	request.AddData(nl.NewRtAttr(unix.IFA_LOCAL, a.AsSlice()))
	err := i.ns.Do(func() error {
		_, err := request.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("add address %v to %s: %w", a, i.name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience(10*time.Second))
	defer cancel()
	return Poll(ctx, "the route to "+a.String(), func() (bool, error) { return i.ns.isLocal6(a) })
}

// isLocal6 reports whether the namespace takes an IPv6 address for its own: the kernel's workqueue enters the route of a new one.
func (n *Namespace) isLocal6(a netip.Addr) (found bool, err error) {
	err = n.Do(func() error {
		routes, err := netlink.RouteListFiltered(unix.AF_INET6, &netlink.Route{Table: unix.RT_TABLE_LOCAL}, netlink.RT_FILTER_TABLE)
		for _, r := range routes {
			if r.Dst != nil {
				dst, _ := netip.AddrFromSlice(r.Dst.IP)
				found = found || dst == a
			}
		}
		return err
	})
	return found, err
}
