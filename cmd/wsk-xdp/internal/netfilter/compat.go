// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"bytes"
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"
)

const (
	matchRevision = 2 // NFTA_MATCH_REV
	matchInfo     = 3 // NFTA_MATCH_INFO, NFTA_TARGET_INFO
)

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
	case name == "addrtype" && f.number(matchRevision) == 1 && len(info) >= 8:
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
		ofState, alias               = 1, 1 << 13 // alias: it was written -m state
		translated                   = 1<<6 | 1<<7
	)
	if binary.NativeEndian.Uint16(info[flagsAt:])&^alias != ofState {
		j.unsure("-m conntrack")
		return Maybe
	}
	states := State(binary.NativeEndian.Uint16(info[statesAt:]))
	sure := j.inStates(states)
	if sure == No && states&translated != 0 && (j.natted || j.d.In != "") {
		j.unsure("its connection")
		sure = Maybe
	}
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

// matchAddressType is struct xt_addrtype_info_v1 with a mask of types for the destination alone.
func (j *judge) matchAddressType(info []byte) Certainty {
	const (
		local         = 1 << unix.RTN_LOCAL
		unicast       = 1 << unix.RTN_UNICAST
		inverse       = 2
		destinationAt = 2
	)
	source, destination := binary.NativeEndian.Uint16(info), binary.NativeEndian.Uint16(info[destinationAt:])
	flags := binary.NativeEndian.Uint32(info[4:])
	if source != 0 || flags&^inverse != 0 || !j.d.Elsewhere || j.natted || destination&^(local|unicast) != 0 {
		j.unsure("-m addrtype")
		return Maybe
	}
	if destination == local|unicast && !j.d.Destination.Is4() { // there it is to be both
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
	case "SNAT", "DNAT", "REDIRECT", "NETMAP", "MASQUERADE":
		j.maps(min(at, j.targetAddress(name, f[matchInfo])), at)
		return verdict{code: codeAccept, sure: m}, true
	case "NFQUEUE":
		return verdict{code: codeQueue, sure: m}, true
	case "LOG", "NFLOG", "AUDIT", "TRACE", "ULOG", "TCPMSS", "SECMARK", "CONNSECMARK", "SET", "IDLETIMER", "LED", "RATEEST":
	case "NOTRACK", "CT":
		j.setUntracked(min(at, Maybe))
	case "CONNMARK": // which may give the datagram the mark of its connection
		j.marked = true
		j.change(min(at, Maybe))
	case "MARK", "HMARK":
		j.marked = true
		j.change(at)
	case "CLASSIFY", "TEE", "CHECKSUM":
		j.change(at)
	case "DSCP", "TOS", "ECN", "TTL", "HL":
		j.rewrite(at)
	default: // TPROXY, one that is not part of the kernel …
		j.unsure("-j " + name)
		return verdict{code: codeAny, sure: min(m, Maybe)}, false
	}
	return verdict{}, false
}

// targetAddress is whether a target of NAT gives another address than the datagram has.
func (j *judge) targetAddress(name string, info []byte) Certainty {
	is := j.d.Destination
	if name == "SNAT" || name == "MASQUERADE" {
		is = j.d.Source
	}
	r, ok := parseRange(info, j.d.Destination.Is4())
	switch {
	case name == "REDIRECT":
		return Yes
	case name == "MASQUERADE":
		return j.otherSource(!ok || r.flags&mapsPorts != 0)
	case !ok || name == "NETMAP" || r.flags&mapsPrefix != 0 || r.flags&mapsAddresses == 0 || j.rewritten || len(is.AsSlice()) != len(r.from):
		j.unsure("the address that NAT gives it")
		return Maybe
	case !bytes.Equal(r.from, r.to):
		return outside(is.AsSlice(), r.from, r.to, ones(len(r.from)), ones(len(r.to)))
	case !bytes.Equal(is.AsSlice(), r.from):
		return Yes
	case r.flags&mapsPorts != 0:
		return Maybe
	}
	return No
}

// natRange is what a target of NAT gives.
type natRange struct {
	flags    uint32
	from, to []byte
}

// parseRange reads struct nf_nat_ipv4_multi_range_compat, or nf_nat_range, which is longer.
func parseRange(b []byte, is4 bool) (r natRange, ok bool) {
	const oldLength, count, addresses = 20, 4, 4
	switch {
	case is4 && len(b) >= oldLength && len(b) < 2*oldLength:
		b = b[count:]
		return natRange{binary.NativeEndian.Uint32(b), b[addresses : addresses+4], b[addresses+4 : addresses+8]}, true
	case len(b) >= 2*oldLength:
		n := 16
		if is4 {
			n = 4
		}
		return natRange{binary.NativeEndian.Uint32(b), b[addresses : addresses+n], b[addresses+16 : addresses+16+n]}, true
	}
	return natRange{}, false
}

func ones(n int) []byte { return bytes.Repeat([]byte{math.MaxUint8}, n) }
