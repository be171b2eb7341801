// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// The hop limits that -1 sets back to (RFC 3493 section 5.1).
const (
	defaultTTL          = 128
	defaultMulticastTTL = 1
)

func (sn *snapshot) setterIP(code uint32) func(uint32) NTSTATUS {
	switch code {
	case IP_UNICAST_IF:
		return setInterfaceBE(&sn.ip4.unicastIf)
	case IP_MULTICAST_IF:
		return sn.setMulticastIf
	case IP_TTL:
		return setRange(&sn.ip4.ttl, 1)
	case IP_MULTICAST_TTL:
		return setRange(&sn.ip4.multicastTTL, 1)
	case IP_DONTFRAGMENT:
		return setBool(&sn.ip4.dontFragment)
	case IP_RECEIVE_BROADCAST:
		return setNot(&sn.noBroadcast)
	}
	return sn.setterBoth(&sn.ip4, code)
}

func (sn *snapshot) setterIPv6(code uint32) func(uint32) NTSTATUS {
	switch code {
	case IPV6_V6ONLY:
		return sn.beforeBind(setBool(&sn.v6Only))
	case IPV6_UNICAST_IF:
		return setWord(&sn.ip6.unicastIf)
	case IPV6_MULTICAST_IF:
		return setWord(&sn.ip6.multicastIf)
	case IPV6_UNICAST_HOPS:
		return setHops(&sn.ip6.ttl, defaultTTL)
	case IPV6_MULTICAST_HOPS:
		return setHops(&sn.ip6.multicastTTL, defaultMulticastTTL)
	case IPV6_DONTFRAG:
		return setBool(&sn.ip6.dontFragment)
	case IP_TOS: // number 3 is not an option of this level
		return nil
	case IPV6_TCLASS:
		return sn.setterBoth(&sn.ip6, IP_TOS)
	}
	return sn.setterBoth(&sn.ip6, code)
}

// setterBoth has the options that have the same number, or the same meaning, on both levels.
func (sn *snapshot) setterBoth(o *ipOptions, code uint32) func(uint32) NTSTATUS {
	switch code {
	case IP_MULTICAST_LOOP:
		return setNot(&o.noLoop)
	case IP_TOS:
		return setRange(&o.tos, 0)
	case IP_MTU_DISCOVER:
		return func(v uint32) NTSTATUS {
			if v >= uint32(IP_PMTUDISC_MAX) {
				return STATUS_INVALID_PARAMETER
			}
			o.mtuDiscover = FragmentPolicy(v)
			return STATUS_SUCCESS
		}
	}
	if object := receiveOption(code); object != 0 {
		return sn.setReceive(o, object)
	}
	return nil
}

// setReceive switches a control data object of received datagrams on or off. Errors can be asked for only if the
// transport reports them.
func (sn *snapshot) setReceive(o *ipOptions, object receiveObjects) func(uint32) NTSTATUS {
	return func(v uint32) NTSTATUS {
		switch {
		case v == 0:
			o.receive &^= object
		case object == wantErrors && sn.endpoint != nil && !sn.receives:
			return STATUS_NOT_SUPPORTED
		default:
			o.receive |= object
		}
		return STATUS_SUCCESS
	}
}

func setHops(field *uint8, fallback uint8) func(uint32) NTSTATUS {
	set := setRange(field, 1)
	return func(v uint32) NTSTATUS {
		if int32(v) == -1 {
			v = uint32(fallback)
		}
		return set(v)
	}
}

// setInterfaceBE reads an interface index in network byte order. An index of more than 24 bits was given in the wrong
// order.
func setInterfaceBE(field *uint32) func(uint32) NTSTATUS {
	return func(v uint32) NTSTATUS {
		index := bits.ReverseBytes32(v)
		if index > 0xFFFFFF {
			return STATUS_INVALID_PARAMETER
		}
		*field = index
		return STATUS_SUCCESS
	}
}

// setMulticastIf takes an interface index as 0.x.x.x, or an address of the interface, both in network order.
func (sn *snapshot) setMulticastIf(v uint32) NTSTATUS {
	if setInterfaceBE(&sn.ip4.multicastIf)(v) == STATUS_SUCCESS {
		return STATUS_SUCCESS
	}
	finder, ok := sn.endpoint.(InterfaceFinder)
	if !ok {
		return STATUS_NOT_SUPPORTED
	}
	index, status := finder.InterfaceOf(netip.AddrFrom4([4]byte(binary.LittleEndian.AppendUint32(nil, v))))
	if status == STATUS_SUCCESS {
		sn.ip4.multicastIf = index
	}
	return status
}

func (sn *snapshot) getIP(code uint32) (uint32, NTSTATUS) {
	switch code {
	case IP_UNICAST_IF:
		return bits.ReverseBytes32(sn.ip4.unicastIf), STATUS_SUCCESS
	case IP_MULTICAST_IF: // host order, other than when it is set
		return sn.ip4.multicastIf, STATUS_SUCCESS
	case IP_TTL:
		return uint32(sn.ip4.ttl), STATUS_SUCCESS
	case IP_MULTICAST_TTL:
		return uint32(sn.ip4.multicastTTL), STATUS_SUCCESS
	case IP_TOS:
		return uint32(sn.ip4.tos), STATUS_SUCCESS
	case IP_DONTFRAGMENT:
		return boolValue(sn.ip4.dontFragment), STATUS_SUCCESS
	case IP_MTU_DISCOVER:
		return uint32(sn.ip4.mtuDiscover), STATUS_SUCCESS
	case IP_MTU:
		return sn.pathMTU(true)
	case IP_RECEIVE_BROADCAST:
		return boolValue(!sn.noBroadcast), STATUS_SUCCESS
	}
	return sn.ip4.getBoth(code)
}

// getBoth has the receive options, which both levels have.
func (o *ipOptions) getBoth(code uint32) (uint32, NTSTATUS) {
	if code == IP_MULTICAST_LOOP {
		return boolValue(!o.noLoop), STATUS_SUCCESS
	}
	if object := receiveOption(code); object != 0 {
		return boolValue(o.receive&object != 0), STATUS_SUCCESS
	}
	return 0, STATUS_NOT_SUPPORTED
}

func (sn *snapshot) getIPv6(code uint32) (uint32, NTSTATUS) {
	switch code {
	case IPV6_V6ONLY:
		return boolValue(sn.v6Only), STATUS_SUCCESS
	case IPV6_UNICAST_IF:
		return sn.ip6.unicastIf, STATUS_SUCCESS
	case IPV6_MULTICAST_IF:
		return sn.ip6.multicastIf, STATUS_SUCCESS
	case IPV6_UNICAST_HOPS:
		return uint32(sn.ip6.ttl), STATUS_SUCCESS
	case IPV6_MULTICAST_HOPS:
		return uint32(sn.ip6.multicastTTL), STATUS_SUCCESS
	case IPV6_TCLASS:
		return uint32(sn.ip6.tos), STATUS_SUCCESS
	case IPV6_DONTFRAG:
		return boolValue(sn.ip6.dontFragment), STATUS_SUCCESS
	case IPV6_MTU_DISCOVER:
		return uint32(sn.ip6.mtuDiscover), STATUS_SUCCESS
	case IPV6_MTU:
		return sn.pathMTU(false)
	}
	return sn.ip6.getBoth(code)
}

// pathMTU is known for a fixed address only, which makes a socket what elsewhere is a connected one, and only on the
// level of the address's IP version.
func (sn *snapshot) pathMTU(is4 bool) (uint32, NTSTATUS) {
	if sn.endpoint == nil || !sn.hasFixed || sn.fixed.is4 != is4 {
		return 0, STATUS_INVALID_CONNECTION
	}
	var to Destination
	sn.aim(&to, &sn.fixed)
	mtu, status := sn.endpoint.MTU(&to)
	return uint32(mtu), status
}
