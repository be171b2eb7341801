// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Stations are the unicast addresses that an interface of the calling thread's network namespace takes frames for besides its own:
// those of devices on top of it, also where these are in other namespaces. A macvlan that is up has one, and so has an ipvlan, whose
// address is that of the interface.
func Stations(index int) (list []net.HardwareAddr, err error) {
	entries, err := netlink.NeighListExecute(netlink.Ndmsg{Family: unix.AF_BRIDGE, Index: uint32(index)})
	if err != nil {
		return nil, fmt.Errorf("list the stations of interface %d: %w", index, err)
	}
	for _, e := range entries {
		if e.Flags&unix.NTF_SELF != 0 && len(e.HardwareAddr) == 6 && e.HardwareAddr[0]&1 == 0 {
			list = append(list, e.HardwareAddr)
		}
	}
	return list, nil
}
