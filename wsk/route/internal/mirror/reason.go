// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import "fmt"

// Reason says why the mirror has no answer.
type Reason uint8

// The reasons.
const (
	// Answered: there is an answer.
	Answered Reason = iota
	// NotReady: the tables have not been read yet, or not again after events were lost.
	NotReady
	// Doubtful: something has changed in a way that only a new dump can tell, which is under way.
	Doubtful
	// VRF: the namespace has VRF devices.
	VRF
	// Group: the destination is a group, a broadcast address, or no address at all.
	Group
	// Local: the table of local addresses has the destination, or the route is of another type than unicast.
	Local
	// NoRoute: no table has a route. The kernel says with which error, or assumes that the destination is on the link.
	NoRoute
	// Refused: the route or rule is a blackhole, unreachable or prohibit.
	Refused
	// Rule: a policy rule looks at something that the mirror doesn't know.
	Rule
	// TOS: a route with a TOS of its own may count.
	TOS
	// SourceRoute: an IPv6 route for a range of sources (default from PREFIX) may count.
	SourceRoute
	// Multipath: the kernel chooses among several next hops.
	Multipath
	// Encapsulation: the route encapsulates.
	Encapsulation
	// Exception: there is something that the kernel has learned about this destination, such as a path MTU or a
	// redirect.
	Exception
	// Source: the source address depends on the destination, or is not one of the host.
	Source
	// Neighbour: the gateway has not answered, and the kernel may prefer another.
	Neighbour
	// Device: the device or next hop object is in a state in which routes by it may not count.
	Device

	reasons
)

var reasonNames = [reasons]string{
	Answered: "answered", NotReady: "not ready", Doubtful: "doubtful", VRF: "VRF", Group: "group", Local: "local",
	NoRoute: "no route", Refused: "refused", Rule: "rule", TOS: "TOS", SourceRoute: "source route",
	Multipath: "multipath", Encapsulation: "encapsulation",
	Exception: "exception", Source: "source", Neighbour: "neighbour", Device: "device",
}

func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Reasons are all of them, for counters: an index below Reasons.
const Reasons = int(reasons)
