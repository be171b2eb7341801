// SPDX-License-Identifier: Apache-2.0

package doctor

// PathFacts is the way to a destination.
type PathFacts struct {
	Destination string `json:"destination"`
	// Port is the destination's, 0 where none was named: rules that look at ports may then do either.
	Port uint16 `json:"port,omitempty"`
	// Error is why there is no way, and Status what a datagram to there ends in.
	Error     string `json:"error,omitempty"`
	Status    string `json:"status,omitempty"`
	Kind      string `json:"kind,omitempty"` // unicast, broadcast, multicast or local
	Interface string `json:"interface,omitempty"`
	Device    string `json:"afxdp_interface,omitempty"`
	// Taken is whether AF_XDP sockets of others hold all queues of that device, as far as it is known.
	// LinkDown is whether that device has no carrier, or is down.
	LinkDown bool   `json:"afxdp_interface_link_down,omitempty"`
	Taken    bool   `json:"afxdp_queues_taken,omitempty"`
	Source   string `json:"source,omitempty"`
	NextHop  string `json:"next_hop,omitempty"`
	OnLink   bool   `json:"on_link,omitempty"`
	// NextHops is how many the route has, if several; ByRules are what the rules look at that choose its table.
	NextHops  int      `json:"next_hops,omitempty"`
	ByRules   []string `json:"rules_look_at,omitempty"`
	MAC       string   `json:"next_hop_mac,omitempty"`
	AskNeeded bool     `json:"neighbour_needed,omitempty"`
	// Silent is whether the neighbour was asked for, and has not answered.
	Silent bool `json:"neighbour_silent,omitempty"`
	MTU    int  `json:"mtu_bytes,omitempty"`
	// InterfaceMTU is what the interface would take.
	InterfaceMTU int    `json:"interface_mtu_bytes,omitempty"`
	DeviceMTU    int    `json:"afxdp_interface_mtu_bytes,omitempty"`
	SlowReason   string `json:"slow_path_reason,omitempty"`
	IPsec        bool   `json:"ipsec_policy_selects,omitempty"`
	// Member is whether a socket of this host has joined the group, or it is not known.
	Member bool `json:"member_on_this_host,omitempty"`
	// AnswersRefused is whether the host takes no answer from there by this interface (rp_filter).
	AnswersRefused bool `json:"answers_refused_by_rp_filter,omitempty"`
	// overBridge is whether it leaves by a bridge, stacked whether there are other devices below the interface, and passesOthers whether
	// there are below the device that AF_XDP is bound to.
	overBridge, stacked, passesOthers bool

	// Carriage is what carries a datagram there.
	Carriage Carriage `json:"carriage"`
}

// Carriage is what carries a datagram to a destination, as far as the rules and tables of the host say. What a network does with it
// does not show in them, nor whether a neighbour will answer who was not asked yet.
type Carriage struct {
	// By is "afxdp", "kernel" or "nobody"; where it depends on something that is not known, the likelier one.
	By string `json:"by"`
	// Opens is whether the kernel's stack sends the first datagram of each flow, and one every few seconds, for the sake of its table of
	// connections.
	Opens bool `json:"kernel_opens,omitempty"`
	// Status is what a send ends in that nobody carries.
	Status string `json:"status,omitempty"`
	// Why is why it is not AF_XDP.
	Why string `json:"why,omitempty"`
	// See is the finding that says more of it, and what to do.
	See string `json:"see,omitempty"`
	// Unless is what may be otherwise, because something is not known.
	Unless []string `json:"unless,omitempty"`
}

// Who carries.
const (
	ByAFXDP  = "afxdp"
	ByKernel = "kernel"
	ByNobody = "nobody"
)

const unicast = "unicast"
