// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// sendControl is what the control data of one send ask for, all objects merged: of two of the same kind the last one
// counts.
type sendControl struct {
	source  [16]byte // v4-mapped for IPv4; zero: not asked for
	ifIndex uint32
	segment uint32
	ttl     uint8
	tos     uint8
	ecn     uint8

	setTTL, setTOS, setECN, setSource, setSegment bool
}

// parse reads the control data of a send to an IPv4 or an IPv6 destination. On a dual-stack socket the destination
// decides, not the socket: objects of the other family are refused, since they could have no effect, and so is every
// object that this provider does not know. Known ones that need nothing done are ignored.
func (c *sendControl) parse(control []byte, is4 bool) NTSTATUS {
	it := CMsgs(control)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		var status NTSTATUS
		switch {
		case m.Level == IPPROTO_IP && is4:
			status = c.ipv4(m)
		case m.Level == IPPROTO_IPV6 && !is4:
			status = c.ipv6(m)
		case m.Level == IPPROTO_UDP && m.Type == UDP_SEND_MSG_SIZE && len(m.Data) >= 4:
			c.segment, c.setSegment = binary.LittleEndian.Uint32(m.Data), true
		default:
			status = STATUS_INVALID_PARAMETER
		}
		if status != STATUS_SUCCESS {
			return status
		}
	}
	return it.Status()
}

func (c *sendControl) ipv4(m CMsg) NTSTATUS {
	d := m.Data
	switch m.Type {
	case IP_PKTINFO, IP_PKTINFO_EX:
		if len(d) < pktinfoSize(m.Type == IP_PKTINFO_EX, 8) {
			return STATUS_INVALID_PARAMETER
		}
		var source [16]byte
		if [4]byte(d) != [4]byte{} {
			source = ipaddr.From4(d)
		}
		return c.pktinfo(source, binary.LittleEndian.Uint32(d[4:]))
	case IP_TTL:
		return setByte(d, 1, 255, &c.ttl, &c.setTTL)
	case IP_TOS:
		return setByte(d, 0, 255, &c.tos, &c.setTOS)
	case IP_ECN:
		return setByte(d, 0, 2, &c.ecn, &c.setECN)
	case IP_OPTIONS:
		return onlyEmpty(d)
	case IP_WFP_REDIRECT_RECORDS:
		return STATUS_SUCCESS
	}
	return STATUS_INVALID_PARAMETER
}

func (c *sendControl) ipv6(m CMsg) NTSTATUS {
	d := m.Data
	switch m.Type {
	case IPV6_PKTINFO, IPV6_PKTINFO_EX:
		if len(d) < pktinfoSize(m.Type == IPV6_PKTINFO_EX, 20) {
			return STATUS_INVALID_PARAMETER
		}
		source := [16]byte(d)
		if ipaddr.Is4(&source) {
			return STATUS_INVALID_ADDRESS_COMPONENT
		}
		return c.pktinfo(source, binary.LittleEndian.Uint32(d[16:]))
	case IPV6_HOPLIMIT:
		if len(d) >= 4 && int32(binary.LittleEndian.Uint32(d)) == -1 { // the default, RFC 3542 section 6.3
			c.setTTL = false
			return STATUS_SUCCESS
		}
		return setByte(d, 1, 255, &c.ttl, &c.setTTL)
	case IPV6_TCLASS:
		return setByte(d, 0, 255, &c.tos, &c.setTOS)
	case IPV6_ECN:
		return setByte(d, 0, 2, &c.ecn, &c.setECN)
	case IPV6_RTHDR:
		return onlyEmpty(d)
	case IPV6_WFP_REDIRECT_RECORDS:
		return STATUS_SUCCESS
	}
	return STATUS_INVALID_PARAMETER
}

func (c *sendControl) pktinfo(source [16]byte, ifIndex uint32) NTSTATUS {
	c.source, c.setSource = source, source != [16]byte{}
	c.ifIndex = ifIndex
	return STATUS_SUCCESS
}

// pktinfoSize is the size of the structure. The _EX form has a SCOPE_ID behind it, which says no more than the address
// does.
func pktinfoSize(ex bool, size int) int {
	if ex {
		return size + 4
	}
	return size
}

// setByte reads an INT between low and high.
func setByte(data []byte, low, high int32, value *uint8, set *bool) NTSTATUS {
	if len(data) < 4 {
		return STATUS_INVALID_PARAMETER
	}
	v := int32(binary.LittleEndian.Uint32(data))
	if v < low || v > high {
		return STATUS_INVALID_PARAMETER
	}
	*value, *set = uint8(v), true
	return STATUS_SUCCESS
}

// onlyEmpty accepts an object without data, which clients add as a work-around, and refuses one with data, which would
// have to show on the wire.
func onlyEmpty(data []byte) NTSTATUS {
	if len(data) != 0 {
		return STATUS_INVALID_PARAMETER
	}
	return STATUS_SUCCESS
}

// apply overrides the socket's options in a destination. An interface that contradicts the scope id of the
// destination address is refused: one of the two would be ignored.
func (c *sendControl) apply(to *Destination, scope uint32) NTSTATUS {
	if c.ifIndex != 0 {
		if scope != 0 && scope != c.ifIndex {
			return STATUS_INVALID_PARAMETER
		}
		to.IfIndex = c.ifIndex
	}
	if c.setSource {
		to.Source = c.source
	}
	if c.setTTL {
		to.TTL = c.ttl
	}
	if c.setTOS {
		to.TOS = c.tos
	}
	if c.setECN { // after TOS, whose low bits are the same ones
		to.TOS = to.TOS&^3 | c.ecn
	}
	return STATUS_SUCCESS
}
