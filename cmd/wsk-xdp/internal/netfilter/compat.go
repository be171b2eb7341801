// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const matchInfo = 3 // NFTA_MATCH_INFO, NFTA_TARGET_INFO

// match is a match of iptables-nft.
func (j *judge) match(f attributes) Certainty {
	info := f[matchInfo]
	switch name := f.text(matchName); {
	case name == "comment":
		return Yes
	case name == "tcp" || name == "icmp" || name == "icmp6":
		return No
	case name == "udp" && len(info) >= 9:
		return j.matchUDP(info)
	case name == "conntrack" && len(info) >= 154:
		return j.matchConntrack(info)
	case name == "state" && len(info) >= 4:
		return j.inStates(State(binary.NativeEndian.Uint32(info)))
	case name == "addrtype" && len(info) >= 8:
		return j.matchAddressType(info)
	default:
		j.unsure("-m " + name)
	}
	return Maybe
}

// matchUDP is struct xt_udp: ranges of source and destination port in the order of the host, and flags that turn one round.
func (j *judge) matchUDP(info []byte) Certainty {
	port := func(n uint16, at int, inverse bool) Certainty {
		from, to := binary.NativeEndian.Uint16(info[at:]), binary.NativeEndian.Uint16(info[at+2:])
		sure := Maybe
		switch {
		case from == 0 && to == 0xffff:
			sure = Yes
		case n == 0 || j.natted:
			j.unsure("a port")
		case from <= n && n <= to:
			sure = Yes
		default:
			sure = No
		}
		if inverse {
			return sure.not()
		}
		return sure
	}
	return min(port(j.d.SourcePort, 0, info[8]&1 != 0), port(j.d.DestinationPort, 4, info[8]&2 != 0))
}

// matchConntrack is struct xt_conntrack_mtinfo1 to 3, of which the state alone is looked at.
func (j *judge) matchConntrack(info []byte) Certainty {
	const (
		flagsAt, inverseAt, statesAt = 146, 148, 150
		ofState                      = 1
	)
	if binary.NativeEndian.Uint16(info[flagsAt:]) != ofState {
		j.unsure("-m conntrack")
		return Maybe
	}
	sure := j.inStates(State(binary.NativeEndian.Uint16(info[statesAt:])))
	if binary.NativeEndian.Uint16(info[inverseAt:])&ofState != 0 {
		return sure.not()
	}
	return sure
}

func (j *judge) inStates(wanted State) Certainty {
	switch is := j.state(); {
	case is == 0:
		j.unsure("its connection")
		return Maybe
	case is == untracked:
		return Maybe // has another bit there
	case is&wanted != 0:
		return Yes
	}
	return No
}

// matchAddressType is struct xt_addrtype_info_v1 with a mask of types for the destination alone. What leaves has a destination elsewhere.
func (j *judge) matchAddressType(info []byte) Certainty {
	const (
		local         = 1 << unix.RTN_LOCAL
		unicast       = 1 << unix.RTN_UNICAST
		inverse       = 2
		destinationAt = 2
	)
	source, destination := binary.NativeEndian.Uint16(info), binary.NativeEndian.Uint16(info[destinationAt:])
	flags := binary.NativeEndian.Uint32(info[4:])
	if source != 0 || flags&^inverse != 0 || j.d.In != "" || j.natted || j.d.Destination.IsMulticast() || destination&^(local|unicast) != 0 {
		j.unsure("-m addrtype")
		return Maybe
	}
	is := No
	if destination&unicast != 0 {
		is = Yes
	}
	if flags&inverse != 0 {
		return is.not()
	}
	return is
}

// target is a target of iptables-nft; decides says that no later rule of the chain is asked.
func (j *judge) target(f attributes, at, m Certainty) (v verdict, decides bool) {
	switch name := f.text(targetName); name {
	case "REJECT", "DROP":
		return verdict{code: codeDrop, sure: m}, true
	case "SNAT", "DNAT", "REDIRECT", "NETMAP":
		j.translate(min(at, Yes))
		return verdict{code: codeAccept, sure: m}, true
	case "MASQUERADE":
		other := Maybe
		if j.d.Masquerade.IsValid() && j.d.Source.IsValid() {
			other = differ(j.d.Source, j.d.Masquerade)
		}
		j.translate(min(at, other))
		return verdict{code: codeAccept, sure: m}, true
	case "NFQUEUE":
		return verdict{code: codeQueue, sure: m}, true
	case "LOG", "NFLOG", "AUDIT", "CONNMARK", "TRACE", "ULOG", "TCPMSS", "SECMARK":
	case "NOTRACK", "CT":
		j.untracked = max(j.untracked, min(at, Maybe))
	case "MARK":
		j.marked = true
		j.change(at)
	default: // DSCP, TOS, TTL, CLASSIFY, TEE, TPROXY …
		j.change(at)
	}
	return verdict{}, false
}
