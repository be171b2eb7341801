// SPDX-License-Identifier: Apache-2.0

package sockets

import (
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Of struct sock_extended_err (linux/errqueue.h): who says so, and what.
const (
	extendedErr = 16
	errOrigin   = 4
	errType     = 5
	errCode     = 6

	originICMP  = 2
	originICMP6 = 3
)

// hear reads the error queue of a socket, and says whether there was anything: the pending error of the socket, which the next
// call would have failed with, is taken off by that, or was by the call that has failed. What comes with an error is the beginning of
// the datagram that it is about, as far as its sender has quoted it: it tells what was sent to warm up from what was sent in a run.
func hear(fd int, all *icmp.Listener) (any bool) {
	control, quoted := make([]byte, 512), make([]byte, stamp.Size)
	for {
		length, n, _, _, err := unix.Recvmsg(fd, quoted, control, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return any
		}
		any = true
		messages, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil {
			continue
		}
		for _, m := range messages {
			e, ok := received(m)
			switch {
			case !ok:
			case stamp.IsWarmup(quoted[:length]):
				all.HearEarly(e)
			default:
				all.Hear(e)
			}
		}
	}
}

// received is the ICMP error that a control message tells.
func received(m unix.SocketControlMessage) (e wsk.ReceiveError, ok bool) {
	is4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
	is6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
	if len(m.Data) < extendedErr || !is4 && !is6 {
		return e, false
	}
	e = wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: m.Data[errType], Code: m.Data[errCode]}
	switch m.Data[errOrigin] {
	case originICMP:
		return e, true
	case originICMP6:
		e.Protocol = wsk.IPPROTO_ICMPV6
		return e, true
	}
	return e, false // this host's own: the call has told it
}
