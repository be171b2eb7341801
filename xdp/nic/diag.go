// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// sock_diag of AF_XDP, include/uapi/linux/xdp_diag.h.
const (
	diagShowInfo = 1 << 0

	diagAttrInfo = 1
	diagAttrUID  = 2

	sizeofDiagRequest = 20 // struct xdp_diag_req
	sizeofDiagMsg     = 16 // struct xdp_diag_msg
)

// diagSocket is one AF_XDP socket. Ifindex is 0 while it is not bound, and after its interface has gone.
type diagSocket struct {
	inode, ifindex, queue, uid uint32
}

// diagRequest is struct xdp_diag_req: family, protocol, padding, inode, what to show, and a cookie. The kernel looks at
// none of these but the family and what to show, and always lists all sockets.
type diagRequest [sizeofDiagRequest]byte

func (r diagRequest) Len() int          { return len(r) }
func (r diagRequest) Serialize() []byte { return r[:] }

// diagSockets lists the AF_XDP sockets of the calling thread's network namespace. It needs no privilege. The list may
// be short without a sign of it: the kernel ends at the first socket whose interface has gone (xsk_diag_fill,
// net/xdp/xsk_diag.c); see FindHolders.
func diagSockets() ([]diagSocket, error) {
	r := diagRequest{0: unix.AF_XDP}
	binary.NativeEndian.PutUint32(r[8:], diagShowInfo)
	req := nl.NewNetlinkRequest(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	req.AddData(r)
	msgs, err := netlinkExchange("sock_diag of AF_XDP", unix.NETLINK_SOCK_DIAG, req)
	if err != nil {
		return nil, diagError(err)
	}
	sockets := make([]diagSocket, 0, len(msgs))
	for _, m := range msgs {
		s, err := parseDiag(m)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// diagError makes the answer "no" of a kernel that does not know the family, or sock_diag.
func diagError(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return &FeatureError{Name: "AF_XDP socket diagnostics", Detail: "the kernel lacks CONFIG_XDP_SOCKETS_DIAG or its module xsk_diag"}
	}
	return err
}

func parseDiag(msg []byte) (s diagSocket, err error) {
	if len(msg) < sizeofDiagMsg {
		return s, fmt.Errorf("sock_diag of AF_XDP: answer of %d bytes", len(msg))
	}
	if msg[0] != unix.AF_XDP {
		return s, fmt.Errorf("sock_diag of AF_XDP: answer about family %d", msg[0])
	}
	s.inode = binary.NativeEndian.Uint32(msg[4:])
	var short error
	err = walkAttrs("sock_diag of AF_XDP", msg[sizeofDiagMsg:], func(kind uint16, value []byte) {
		switch {
		case kind == diagAttrInfo && len(value) >= 8:
			s.ifindex, s.queue = binary.NativeEndian.Uint32(value), binary.NativeEndian.Uint32(value[4:])
		case kind == diagAttrUID && len(value) >= 4:
			s.uid = binary.NativeEndian.Uint32(value)
		case kind == diagAttrInfo || kind == diagAttrUID:
			short = fmt.Errorf("sock_diag of AF_XDP: attribute %d of %d bytes", kind, len(value))
		}
	})
	return s, errors.Join(err, short)
}
