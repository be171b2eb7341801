// SPDX-License-Identifier: Apache-2.0

//go:build linux

package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// translates is [Tracker.Translates].
func (a *asker) translates(src, dst netip.AddrPort) (bool, error) {
	status, err := a.status(src, dst)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil // not tracked
	case err != nil:
		return false, fmt.Errorf("look for the connection of %v and %v: %w", src, dst, err)
	}
	return status&(statusSourceNAT|statusDestinationNAT) != 0, nil
}

// Of linux/netfilter/nf_conntrack_common.h (enum ip_conntrack_status) and nfnetlink_conntrack.h.
const (
	statusSourceNAT      = 1 << 4
	statusDestinationNAT = 1 << 5

	attrSource4      = 1 // CTA_IP_V4_SRC
	attrSource6      = 3 // CTA_IP_V6_SRC
	attrProtocol     = 1 // CTA_PROTO_NUM
	attrSourcePort   = 2 // CTA_PROTO_SRC_PORT
	attrDestPort     = 3 // CTA_PROTO_DST_PORT
	attrTupleIP      = 1 // CTA_TUPLE_IP
	attrTupleProto   = 2 // CTA_TUPLE_PROTO
	answerTimeout    = 5 * time.Second
	nfgenmsgLen      = 4
	messageGetEntry  = unix.NFNL_SUBSYS_CTNETLINK<<8 | nl.IPCTNL_MSG_CT_GET
	nestedAttribute  = unix.NLA_F_NESTED
	networkByteOrder = unix.NLA_F_NET_BYTEORDER
)

// asker has a netlink socket in the namespace.
type asker struct {
	mu     sync.Mutex
	handle *nl.SocketHandle // nil: there is none to be had, or closed
}

func newAsker() *asker {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_NETFILTER)
	if err != nil {
		return &asker{}
	}
	timeout := unix.NsecToTimeval(int64(answerTimeout))
	if err := s.SetReceiveTimeout(&timeout); err != nil {
		s.Close()
		return &asker{}
	}
	return &asker{handle: &nl.SocketHandle{Socket: s}}
}

func (a *asker) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.handle != nil {
		a.handle.Close()
		a.handle = nil
	}
}

// status are the status bits of a flow's entry.
func (a *asker) status(src, dst netip.AddrPort) (status uint32, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.handle == nil {
		return 0, unix.EPROTONOSUPPORT
	}
	req := nl.NewNetlinkRequest(messageGetEntry, unix.NLM_F_ACK) // the answer looks like one of several
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: a.handle}
	req.AddRawData(question(src, dst))
	err = unix.ENOENT
	e := req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(b []byte) bool {
		if s, ok := statusOf(b); ok {
			status, err = s, nil
		}
		return true
	})
	if e != nil {
		return 0, e
	}
	return status, err
}

// question is struct nfgenmsg with the tuple of the direction in which the flow began.
func question(src, dst netip.AddrPort) []byte {
	from, to := src.Addr().Unmap(), dst.Addr().Unmap()
	family, first := uint8(unix.AF_INET), uint16(attrSource4)
	if from.Is6() {
		family, first = unix.AF_INET6, attrSource6
	}
	ip := attribute(nil, first, from.AsSlice())
	ip = attribute(ip, first+1, to.AsSlice())
	proto := attribute(nil, attrProtocol, []byte{unix.IPPROTO_UDP})
	proto = attribute(proto, attrSourcePort, binary.BigEndian.AppendUint16(nil, src.Port()))
	proto = attribute(proto, attrDestPort, binary.BigEndian.AppendUint16(nil, dst.Port()))
	tuple := attribute(nil, attrTupleIP|nestedAttribute, ip)
	tuple = attribute(tuple, attrTupleProto|nestedAttribute, proto)
	return attribute([]byte{family, 0, 0, 0}, nl.CTA_TUPLE_ORIG|nestedAttribute, tuple)
}

// attribute appends struct nlattr with a value, padded to four bytes.
func attribute(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// statusOf finds CTA_STATUS in an entry.
func statusOf(b []byte) (uint32, bool) {
	if len(b) < nfgenmsgLen {
		return 0, false
	}
	for b = b[nfgenmsgLen:]; len(b) >= unix.SizeofNlAttr; {
		n := int(binary.NativeEndian.Uint16(b))
		typ := binary.NativeEndian.Uint16(b[2:]) &^ (nestedAttribute | networkByteOrder)
		if n < unix.SizeofNlAttr || n > len(b) {
			return 0, false
		}
		if value := b[unix.SizeofNlAttr:n]; typ == nl.CTA_STATUS && len(value) == 4 {
			return binary.BigEndian.Uint32(value), true
		}
		b = b[min(len(b), (n+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1)):]
	}
	return 0, false
}
