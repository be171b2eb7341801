// SPDX-License-Identifier: Apache-2.0

package icmp

import (
	"cmp"
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Error is an ICMP or ICMPv6 error that came back, in JSON documents.
type Error struct {
	Protocol uint8  `json:"protocol"` // 1 ICMP, 58 ICMPv6
	Type     uint8  `json:"type"`
	Code     uint8  `json:"code"`
	Meaning  string `json:"meaning"`
	Messages uint64 `json:"messages"`
}

// Types of RFC 792 and RFC 4443 that mean something to a sender of datagrams.
const (
	icmpUnreachable  = 3
	icmpTimeExceeded = 11
	icmpParameter    = 12

	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4
)

const portClosed = "the destination answers, the port is closed"

// meaning is what an error says to the sender.
func meaning(e wsk.ReceiveError) string {
	if e.Protocol == wsk.IPPROTO_ICMPV6 {
		switch e.Type {
		case icmp6Unreachable:
			return meaningOf(e.Code, map[uint8]string{0: noRoute, 1: prohibited, 3: noHost, 4: portClosed, 5: prohibited, 6: noRoute})
		case icmp6TooBig:
			return tooBig
		case icmp6TimeExceeded:
			return meaningOf(e.Code, map[uint8]string{0: outOfHops, 1: notReassembled})
		case icmp6Parameter:
			return badHeader
		}
		return unknown
	}
	switch e.Type {
	case icmpUnreachable:
		return meaningOf(e.Code, map[uint8]string{
			0: noRoute, 1: noHost, 2: noUDP, 3: portClosed, 4: tooBig, 6: noRoute, 7: noHost, 8: noHost, 9: prohibited, 10: prohibited,
			11: noRoute, 12: noHost, 13: prohibited, 14: prohibited, 15: prohibited,
		})
	case icmpTimeExceeded:
		return meaningOf(e.Code, map[uint8]string{0: outOfHops, 1: notReassembled})
	case icmpParameter:
		return badHeader
	}
	return unknown
}

const (
	noRoute        = "a router has no route to the destination"
	noHost         = "a router gets no answer from the destination"
	noUDP          = "the destination answers, it has no UDP"
	prohibited     = "a firewall on the way prohibits it"
	tooBig         = "a router wants smaller packets"
	outOfHops      = "the TTL or hop limit ran out on the way"
	notReassembled = "the destination did not get all fragments"
	badHeader      = "a header is refused on the way"
	unknown        = "an ICMP error came back"
)

func meaningOf(code uint8, words map[uint8]string) string {
	return cmp.Or(words[code], unknown)
}

// PortClosed is whether the destination itself said that nobody listens there.
func (e Error) PortClosed() bool { return e.Meaning == portClosed }

// Sentence is the error for people. The number is that of the messages: hosts send only some a second.
func (e Error) Sentence() string {
	text := e.Meaning
	if e.Meaning == unknown {
		text = fmt.Sprintf("%s, type %d code %d", unknown, e.Type, e.Code)
	}
	return fmt.Sprintf("%s (%s)", text, units.Plural(int(e.Messages), "time"))
}
