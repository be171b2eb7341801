// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

// ReversePath is how a device checks where datagrams come from (net.ipv4.conf.*.rp_filter).
type ReversePath uint8

// The checks: none, an answer must leave by the same device, an answer must be able to leave by some device.
const (
	ReversePathOff    ReversePath = 0
	ReversePathStrict ReversePath = 1
	ReversePathLoose  ReversePath = 2
)

func (r ReversePath) String() string {
	switch r {
	case ReversePathOff:
		return "off"
	case ReversePathStrict:
		return "strict"
	}
	return "loose"
}

// Of linux/netconf.h.
const (
	netconfIndex    = 1 // NETCONFA_IFINDEX
	netconfRPFilter = 3 // NETCONFA_RP_FILTER
	netconfAll      = -1
	netconfLen      = 4 // struct netconfmsg, padded
)

// parseNetconf reads an RTM_NEWNETCONF or RTM_DELNETCONF of IPv4: the device, or netconfAll, and its rp_filter, −1 when the message
// is about something else.
func parseNetconf(b []byte) (index, filter int, ok bool) {
	if len(b) < netconfLen || b[0] != unix.AF_INET {
		return 0, 0, false
	}
	filter = -1
	rtattr.Each(b[netconfLen:], func(a rtattr.Attr) {
		switch a.Type {
		case netconfIndex:
			index = int(int32(a.U32()))
		case netconfRPFilter:
			if v := a.U32(); v <= uint32(ReversePathLoose) {
				filter = int(v)
			}
		}
	})
	return index, filter, index > 0 || index == netconfAll
}
