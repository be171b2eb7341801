// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"encoding/binary"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// ICMP and ICMPv6 types and codes (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3).
const (
	icmpUnreachable  = 3
	icmpBadParameter = 12

	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6BadParameter = 4
)

// hardError is what a connected socket of Linux makes of an ICMP error (icmp_err_convert in net/ipv4/icmp.c,
// icmpv6_err_convert in net/ipv6/icmp.c): a status, or STATUS_SUCCESS for an error that Linux reports only if
// IP_RECVERR asks for all, because the condition may pass; and the system error where the status has another one.
// STATUS_INVALID_BUFFER_SIZE is for sockets that mind the MTU of the path.
func hardError(e wsk.ReceiveError) (wsk.NTSTATUS, error) {
	if e.Protocol == wsk.IPPROTO_ICMPV6 {
		return hardError6(e)
	}
	switch e.Type {
	case icmpUnreachable:
		switch e.Code {
		case 2:
			return wsk.STATUS_PROTOCOL_UNREACHABLE, nil
		case 3:
			return wsk.STATUS_PORT_UNREACHABLE, nil
		case 4:
			return wsk.STATUS_INVALID_BUFFER_SIZE, nil
		case 6: // destination network unknown
			return wsk.STATUS_NETWORK_UNREACHABLE, nil
		case 7: // destination host unknown
			return wsk.STATUS_HOST_DOWN, nil
		case 8: // source host isolated
			return wsk.STATUS_HOST_DOWN, errNoNet
		case 9: // network administratively prohibited
			return wsk.STATUS_NETWORK_UNREACHABLE, nil
		case 10, 13, 14, 15: // host or communication prohibited, precedence
			return wsk.STATUS_HOST_UNREACHABLE, nil
		}
	case icmpBadParameter:
		return wsk.STATUS_INVALID_PARAMETER, syscall.EPROTO
	}
	return wsk.STATUS_SUCCESS, nil
}

func hardError6(e wsk.ReceiveError) (wsk.NTSTATUS, error) {
	switch e.Type {
	case icmp6Unreachable:
		switch e.Code {
		case 1, 5, 6: // prohibited, source address failed policy, reject route
			return wsk.STATUS_ACCESS_DENIED, nil
		case 0, 2, 3: // no route, beyond the scope of the source, address unreachable
			return wsk.STATUS_SUCCESS, nil
		case 4:
			return wsk.STATUS_PORT_UNREACHABLE, nil
		}
		return wsk.STATUS_INVALID_PARAMETER, syscall.EPROTO
	case icmp6TooBig:
		return wsk.STATUS_INVALID_BUFFER_SIZE, nil
	case icmp6BadParameter:
		return wsk.STATUS_INVALID_PARAMETER, syscall.EPROTO
	}
	return wsk.STATUS_SUCCESS, nil
}

// hard is the error of a call for an ICMP error, nil where it is none.
func (c *Conn) hard(e wsk.ReceiveError, call string) *StatusError {
	status, errno := hardError(e)
	if status == wsk.STATUS_SUCCESS || status == wsk.STATUS_INVALID_BUFFER_SIZE && c.fragmentsAll(e.Protocol) {
		return nil
	}
	return &StatusError{Call: call, Status: status, errno: errno}
}

// fragmentsAll reports whether IP_MTU_DISCOVER says that the MTU of the path is no matter.
func (c *Conn) fragmentsAll(protocol uint8) bool {
	level, code := uint32(wsk.IPPROTO_IP), uint32(wsk.IP_MTU_DISCOVER)
	if protocol == wsk.IPPROTO_ICMPV6 {
		level, code = wsk.IPPROTO_IPV6, wsk.IPV6_MTU_DISCOVER
	}
	value := make([]byte, 4)
	_, err := control(c.socket, wsk.WskGetOption, level, code, nil, value)
	return err == nil && wsk.FragmentPolicy(binary.LittleEndian.Uint32(value)) == wsk.IP_PMTUDISC_DONT
}

// takeError is the error of the connection that a call tells instead of what it would do, as sk_err of Linux: the last of
// those that have come, ahead of what is buffered. It is nil where none has come.
func (c *Conn) takeError(call string) *StatusError {
	if !c.reportsErrors {
		return nil
	}
	var last *StatusError
	if c.connectionError.Load() != nil {
		last = c.connectionError.Swap(nil)
	}
	for e, ok := c.socket.TakeError(); ok; e, ok = c.socket.TakeError() {
		if hard := c.hard(e, call); hard != nil {
			last = hard
		}
	}
	if last != nil && last.Call != call {
		last = &StatusError{Call: call, Status: last.Status, errno: last.errno}
	}
	return last
}

// icmpError finds the description of the error in the control data of an empty receive. found says that the receive was
// an ICMP error and not a datagram.
func icmpError(control []byte) (e wsk.ReceiveError, found bool) {
	it := wsk.CMsgs(control)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		// The object has the same number, 75, on both levels.
		if (m.Level != wsk.IPPROTO_IP && m.Level != wsk.IPPROTO_IPV6) || m.Type != wsk.IP_RECVERR {
			continue
		}
		if e, ok := wsk.ParseReceiveError(m.Data); ok {
			return e, true
		}
	}
	return e, false
}
