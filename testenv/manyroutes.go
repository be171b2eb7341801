// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddRoutes adds n routes through the interface to a gateway as fast as the kernel takes them, for tables as those of the
// Internet: prefix tells each, and two may not be the same. It returns when all are there; the error is that of the last.
func (i *Iface) AddRoutes(n int, prefix func(i int) netip.Prefix, gateway netip.Addr) error {
	if n == 0 {
		return nil
	}
	var sock *nl.NetlinkSocket
	err := i.ns.Do(func() (err error) {
		sock, err = nl.Subscribe(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return fmt.Errorf("add routes on %s: %w", i.name, err)
	}
	defer sock.Close()
	index := uint32(i.Index())
	var batch []byte
	for k := range n - 1 {
		batch = append(batch, routeRequest(prefix(k), gateway, index)...)
		if k%stormBatch != stormBatch-1 && k != n-2 {
			continue
		}
		if err := unix.Sendto(sock.GetFd(), batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("add routes on %s: %w", i.name, err)
		}
		batch = batch[:0]
	}
	return i.AddRoute(prefix(n-1), gateway) // it is told, and comes after the others
}

// routeRequest asks for no acknowledgement.
func routeRequest(dst netip.Prefix, gateway netip.Addr, index uint32) []byte {
	req := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE)
	family := uint8(unix.AF_INET)
	if dst.Addr().Is6() {
		family = unix.AF_INET6
	}
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{
		Family: family, Dst_len: uint8(dst.Bits()), Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_STATIC, Type: unix.RTN_UNICAST,
	}})
	req.AddData(nl.NewRtAttr(unix.RTA_DST, dst.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, gateway.AsSlice()))
	req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(index)))
	return req.Serialize()
}
