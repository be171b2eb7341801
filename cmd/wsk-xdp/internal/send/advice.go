// SPDX-License-Identifier: Apache-2.0

package send

import (
	"fmt"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Advice says what a user can do about a status, or nothing where the text of the status says it all. full, if it is not
// empty, is what to say about a neighbour table that was full meanwhile: then no next hop can be asked, and the host is
// as likely there as not.
func Advice(status wsk.NTSTATUS, to netip.Addr, full string) string {
	switch status {
	case wsk.STATUS_HOST_UNREACHABLE, wsk.STATUS_NETWORK_UNREACHABLE, wsk.STATUS_INSUFFICIENT_RESOURCES:
		if full != "" {
			return full
		}
	}
	switch status {
	case wsk.STATUS_HOST_UNREACHABLE:
		return fmt.Sprintf("nobody answers for the next hop of %v: see ip neigh, and whether the host is up", to)
	case wsk.STATUS_NETWORK_UNREACHABLE:
		return fmt.Sprintf("there is no route, or no carrier: see ip route get %v, and ip link", to)
	case wsk.STATUS_INVALID_BUFFER_SIZE:
		return "send less, or leave --df out so that it is fragmented"
	case wsk.STATUS_INVALID_ADDRESS_COMPONENT:
		return "the source must be an address of this host and of the interface, and a link-local destination needs its interface " +
			"behind it, as in fe80::1%wsk0: see ip addr"
	case wsk.STATUS_FILE_FORCED_CLOSED:
		return "the interface was deleted or the datapath ended: see ip link"
	case wsk.STATUS_HOST_DOWN, wsk.STATUS_DEVICE_NOT_READY, wsk.STATUS_IO_TIMEOUT:
		return "the link or its other end is down: see ip link, and ethtool on the interface"
	case wsk.STATUS_NETWORK_BUSY, wsk.STATUS_INSUFFICIENT_RESOURCES:
		return "the device dropped it because the receiver does not keep up: send more slowly"
	case wsk.STATUS_ACCESS_DENIED:
		return "broadcast and reserved addresses need permission"
	case wsk.STATUS_PENDING:
		return "the kernel has not given the frame back: the link may be down (ip link), or the other end holds it"
	}
	return ""
}
