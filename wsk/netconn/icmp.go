// SPDX-License-Identifier: Apache-2.0

package netconn

import "github.com/wsk-xdp/wsk-xdp/wsk"

// ICMP and ICMPv6 types and codes (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3).
const (
	icmpUnreachable  = 3
	icmpBadParameter = 12

	icmp6Unreachable  = 1
	icmp6BadParameter = 4
)

// hardError is what a connected socket of Linux makes of an ICMP error (icmp_err_convert in net/ipv4/icmp.c,
// icmpv6_err_convert in net/ipv6/icmp.c): a status, or STATUS_SUCCESS for an error that Linux reports only if
// IP_RECVERR asks for all, because the condition may pass.
func hardError(e wsk.ReceiveError) wsk.NTSTATUS {
	if e.Protocol == wsk.IPPROTO_ICMPV6 {
		return hardError6(e)
	}
	switch e.Type {
	case icmpUnreachable:
		switch e.Code {
		case 2:
			return wsk.STATUS_PROTOCOL_UNREACHABLE
		case 3:
			return wsk.STATUS_PORT_UNREACHABLE
		case 6: // destination network unknown
			return wsk.STATUS_NETWORK_UNREACHABLE
		case 7, 8: // destination host unknown, source host isolated
			return wsk.STATUS_HOST_DOWN
		case 9: // network administratively prohibited
			return wsk.STATUS_NETWORK_UNREACHABLE
		case 10, 13, 14, 15: // host or communication prohibited, precedence
			return wsk.STATUS_HOST_UNREACHABLE
		}
	case icmpBadParameter:
		return wsk.STATUS_INVALID_PARAMETER
	}
	return wsk.STATUS_SUCCESS
}

func hardError6(e wsk.ReceiveError) wsk.NTSTATUS {
	switch e.Type {
	case icmp6Unreachable:
		switch e.Code {
		case 1, 5, 6: // prohibited, source address failed policy, reject route
			return wsk.STATUS_ACCESS_DENIED
		case 4:
			return wsk.STATUS_PORT_UNREACHABLE
		}
	case icmp6BadParameter:
		return wsk.STATUS_INVALID_PARAMETER
	}
	return wsk.STATUS_SUCCESS
}

// icmpError finds the description of the error in the control data of an empty receive. found says that the receive was
// an ICMP error and not a datagram.
func icmpError(control []byte) (status wsk.NTSTATUS, found bool) {
	it := wsk.CMsgs(control)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		// The object has the same number, 75, on both levels.
		if (m.Level != wsk.IPPROTO_IP && m.Level != wsk.IPPROTO_IPV6) || m.Type != wsk.IP_RECVERR {
			continue
		}
		if e, ok := wsk.ParseReceiveError(m.Data); ok {
			return hardError(e), true
		}
	}
	return wsk.STATUS_SUCCESS, false
}
