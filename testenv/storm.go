// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// stormBatch requests go into one write: the kernel handles them, and queues their events to every subscriber, before
// the write returns, faster than any subscriber reads.
const stormBatch = 256

// NeighbourStorm enters and removes n permanent neighbours of a range nobody uses (240.0.0.0/4), as fast as the
// kernel takes them: 2·n events, enough of which overrun the receive buffer of a subscriber (ENOBUFS). Nothing of it
// stays.
func (i *Iface) NeighbourStorm(n int) error {
	var sock *nl.NetlinkSocket
	err := i.ns.Do(func() (err error) {
		sock, err = nl.Subscribe(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return fmt.Errorf("storm on %s: %w", i.name, err)
	}
	defer sock.Close()
	index := i.Index()
	for from := 0; from < n; from += stormBatch {
		var batch []byte
		to := min(from+stormBatch, n)
		for k := from; k < to; k++ {
			batch = append(batch, stormRequest(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, index, k)...)
		}
		for k := from; k < to; k++ {
			batch = append(batch, stormRequest(unix.RTM_DELNEIGH, 0, index, k)...)
		}
		if err := unix.Sendto(sock.GetFd(), batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("storm on %s: %w", i.name, err)
		}
	}
	return nil
}

// stormRequest asks for no acknowledgement, so that only the events remain.
func stormRequest(kind, flags, index, k int) []byte {
	req := nl.NewNetlinkRequest(kind, flags)
	req.AddData(&netlink.Ndmsg{Family: unix.AF_INET, Index: uint32(index), State: unix.NUD_PERMANENT, Type: unix.RTN_UNICAST})
	ip := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0xf0000000|uint32(k)&0x0fffffff)))
	req.AddData(nl.NewRtAttr(netlink.NDA_DST, ip.AsSlice()))
	req.AddData(nl.NewRtAttr(netlink.NDA_LLADDR, []byte{2, 0xff, 0, 0, 0, 1}))
	return req.Serialize()
}
