// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// requestTimeout bounds one exchange with the kernel, which answers while the request is being sent; this is for
	// the case that the answer was lost.
	requestTimeout = 5 * time.Second
	// dumpTries bounds how often an interrupted dump is taken again. A link that changes all the time must not keep the
	// table from existing; the subscription and the repair correct what the last try got wrong.
	dumpTries = 10
)

// eventGroups are the multicast groups of the subscription. One socket for all keeps the kernel's order.
var eventGroups = []uint{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV4_NETCONF,
	unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV6_NETCONF,
	unix.RTNLGRP_IPV6_IFINFO, unix.RTNLGRP_NEXTHOP,
}

// requester is a socket for requests. Safe for concurrent use: one exchange at a time.
type requester struct {
	handle *nl.SocketHandle
}

// newRequester must run in the namespace that the requests are for.
func newRequester() (*requester, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink request socket: %w", err)
	}
	tv := unix.NsecToTimeval(int64(requestTimeout))
	// Neither can fail: they store a number.
	_, _ = s.SetSendTimeout(&tv), s.SetReceiveTimeout(&tv)
	// Without it errors have no text, no more.
	_ = s.SetExtAck(true)
	return &requester{&nl.SocketHandle{Socket: s}}, nil
}

// subscribe opens the event socket; it must run in the namespace.
func subscribe(buffer int) (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, eventGroups...)
	if err != nil {
		return nil, fmt.Errorf("subscribe to netlink events: %w", err)
	}
	if err := s.SetReceiveBufferSize(buffer, true); err != nil {
		if err := s.SetReceiveBufferSize(buffer, false); err != nil {
			s.Close()
			return nil, fmt.Errorf("set netlink receive buffer to %d bytes: %w", buffer, err)
		}
	}
	return s, nil
}

func (r *requester) close() {
	// An exchange under way ends first: it uses the descriptor's number.
	r.handle.Socket.Lock()
	defer r.handle.Socket.Unlock()
	r.handle.Close()
}

// do sends one request and calls fn for every message of the answer; the slice is fn's to keep.
func (r *requester) do(typ, flags int, body message, fn func([]byte)) error {
	req := nl.NewNetlinkRequest(typ, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: r.handle}
	req.AddRawData(body)
	return req.ExecuteIter(unix.NETLINK_ROUTE, 0, func(b []byte) bool {
		if fn != nil {
			fn(b)
		}
		return true
	})
}

// dump reads a whole table, again when the kernel says that it changed meanwhile. reset is called before every try.
// consistent is false when every try was interrupted.
//
// EBUSY: an earlier dump that was given up has not ended yet. Each try takes some of the rest of it.
func (r *requester) dump(typ int, body message, reset func(), fn func([]byte)) (consistent bool, err error) {
	for range dumpTries {
		reset()
		err = r.do(typ, unix.NLM_F_DUMP, body, fn)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, nl.ErrDumpInterrupted) && !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	if errors.Is(err, nl.ErrDumpInterrupted) {
		return false, nil
	}
	return false, fmt.Errorf("dump netlink table %d: %w", typ, err)
}

// neighbour reads one entry of the neighbour table. Linux 5.0 and later; earlier ones answer EOPNOTSUPP.
func (r *requester) neighbour(k neighbourKey) (neighbour, error) {
	var n neighbour
	ok := false
	err := r.do(unix.RTM_GETNEIGH, 0, neighbourBody(k, 0), func(b []byte) { n, ok = parseNeighbour(b) })
	if err == nil && !ok {
		err = errors.New("the kernel's answer is malformed")
	}
	return n, err
}

// useNeighbour makes the kernel behave as if it had a packet for the neighbour: an entry is made when there is none
// (only then, with exclusive), an unknown or failed one is solicited, a stale one is verified. Needs CAP_NET_ADMIN.
func (r *requester) useNeighbour(k neighbourKey, exclusive bool) error {
	flags := unix.NLM_F_CREATE | unix.NLM_F_ACK
	if exclusive {
		flags |= unix.NLM_F_EXCL
	}
	return r.do(unix.RTM_NEWNEIGH, flags, neighbourBody(k, unix.NTF_USE), nil)
}

func neighbourBody(k neighbourKey, flags uint8) message {
	family, _ := addressFamily(k.ip)
	return message(nil).u8(family, 0).u16(0).u32(uint32(k.index)).u16(unix.NUD_NONE).u8(flags, 0).
		attr(unix.NDA_DST, k.ip.AsSlice())
}

// device reads one device.
func (r *requester) device(index int) (Device, error) {
	return r.link(message(nil).u8(unix.AF_UNSPEC, 0).u16(0).u32(uint32(index)).u32(0).u32(0))
}

// deviceNamed reads the device with an alternative name. Linux 5.5 and later.
func (r *requester) deviceNamed(name string) (Device, error) {
	return r.link(make(message, ifinfoLen).attr(unix.IFLA_ALT_IFNAME, append([]byte(name), 0)))
}

func (r *requester) link(body message) (Device, error) {
	var d Device
	ok := false
	err := r.do(unix.RTM_GETLINK, 0, body, func(b []byte) { d, ok = parseLink(b) })
	if err == nil && !ok {
		err = errors.New("the kernel's answer is malformed")
	}
	return d, err
}

func addressFamily(ip netip.Addr) (family, bits uint8) {
	if ip.Is4() {
		return unix.AF_INET, 32
	}
	return unix.AF_INET6, 128
}
