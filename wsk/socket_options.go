// SPDX-License-Identifier: Apache-2.0

package wsk

// options are the socket options. A new socket has the defaults of Windows.
type options struct {
	reuseAddress        bool
	exclusiveAddressUse bool
	broadcast           bool
	v6Only              bool
	noChecksum          bool
	sendBuffer          uint32 // remembered only: sends are not buffered
	segment             uint32 // UDP_SEND_MSG_SIZE, 0: off
	noBroadcast         bool   // IP_RECEIVE_BROADCAST is off
	receiveBuffer       uint32
	receiveBufferSet    bool // by the client
	maxCoalesced        uint32
	mark                uint32              // SetMark
	security            *SecurityDescriptor // nil: the default one, which refuses sharing
	ip4, ip6            ipOptions
}

// ipOptions are the options that exist once for each IP level. An AF_INET6 socket has both: those of IPPROTO_IP go for
// its v4-mapped destinations.
type ipOptions struct {
	ttl          uint8
	multicastTTL uint8
	tos          uint8
	dontFragment bool
	mtuDiscover  FragmentPolicy
	unicastIf    uint32 // interface index, 0: the route's choice
	multicastIf  uint32
	noLoop       bool // IP_MULTICAST_LOOP is off
	receive      receiveObjects
}

func defaultOptions() options {
	ip := ipOptions{ttl: 128, multicastTTL: 1}
	return options{v6Only: true, receiveBuffer: defaultReceiveBuffer, ip4: ip, ip6: ip}
}

// receiveOptions are the options that the transport is to receive by.
func (o *options) receiveOptions() ReceiveOptions {
	r := ReceiveOptions{Errors: (o.ip4.receive|o.ip6.receive)&wantErrors != 0, MaxCoalesced: o.maxCoalesced}
	if o.receiveBufferSet {
		r.BufferBytes = max(o.receiveBuffer, 1)
	}
	return r
}

// fragment is the policy in force: IP_MTU_DISCOVER if set, else IP_DONTFRAGMENT.
func (o *ipOptions) fragment() FragmentPolicy {
	if o.mtuDiscover == IP_PMTUDISC_NOT_SET && o.dontFragment {
		return IP_PMTUDISC_DO
	}
	return o.mtuDiscover
}

// Indexes of the destinations that a snapshot has ready.
const (
	baseUnicast6 = iota
	baseMulticast6
	baseUnicast4
	baseMulticast4
	baseCount
)

// bases fills in as much of a destination as the options alone decide.
func (o *options) bases() (base [baseCount]Destination) {
	var flags DestinationFlags
	if o.broadcast {
		flags |= AllowBroadcast
	}
	base[baseUnicast6] = Destination{
		IfIndex: o.ip6.unicastIf, Mark: o.mark, TTL: o.ip6.ttl, TOS: o.ip6.tos, Fragment: o.ip6.fragment(), Flags: flags,
	}
	base[baseMulticast6] = base[baseUnicast6]
	base[baseMulticast6].TTL, base[baseMulticast6].IfIndex = o.ip6.multicastTTL, o.ip6.multicastIf
	if o.noChecksum {
		flags |= NoChecksum
	}
	base[baseUnicast4] = Destination{
		IfIndex: o.ip4.unicastIf, Mark: o.mark, TTL: o.ip4.ttl, TOS: o.ip4.tos, Fragment: o.ip4.fragment(), Flags: flags,
	}
	base[baseMulticast4] = base[baseUnicast4]
	base[baseMulticast4].TTL, base[baseMulticast4].IfIndex = o.ip4.multicastTTL, o.ip4.multicastIf
	return base
}
