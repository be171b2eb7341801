// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"cmp"
	"net/netip"
	"slices"
)

// FlowInfo is one destination of a socket, and the way that its datagrams take now. Or it is a gateway, and the way to all
// destinations behind it about which there is nothing to remember one by one.
type FlowInfo struct {
	Local, Remote netip.AddrPort // of a gateway there is no Remote
	Gateway       netip.Addr
	// Interface is the one whose queue sends, and Queue its number; empty where the way is not known, or leads through the kernel's stack.
	Interface string
	Queue     int
	// Slow is why the kernel's stack sends, in the words of Info.SlowReasons; empty where it does not. Why is the same as a sentence.
	Slow, Why string
	Waiting   int // operations that wait for the way
}

// Flows lists the destinations that the sockets of this datapath remember, and the gateways behind which they sent to others within the
// last second, in the order of local and remote address. It is for people and tests, like Info.
func (dp *Datapath) Flows() (list []FlowInfo) {
	for _, src := range dp.endpoints.sources() {
		for _, f := range src.Flows() {
			list = append(list, FlowInfo(f))
		}
	}
	slices.SortFunc(list, func(a, b FlowInfo) int {
		return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote), a.Gateway.Compare(b.Gateway))
	})
	return list
}
