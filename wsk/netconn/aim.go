// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// aim translates destination and control messages into memory of the op's. remote is nil with fixed.
func (c *Conn) aim(o *op, oob []byte, to netip.AddrPort, fixed bool) (remote wsk.SOCKADDR, control []byte, err error) {
	is4 := c.is4
	if !fixed {
		if !namesInterface(oob) {
			to = netip.AddrPortFrom(c.zoned(to.Addr()), to.Port())
		}
		if remote, err = c.sockaddr(o, to); err != nil {
			return nil, nil, err
		}
		is4 = c.family == wsk.AF_INET || to.Addr().Unmap().Is4()
	}
	if len(oob) != 0 {
		control, err = o.writeControl(oob, is4)
	}
	if c.replies != nil && !fixed {
		control = c.fromDestination(o, control, to)
	}
	o.sentControl, o.remote = control, remote
	return remote, control, err
}

// fromDestination adds the source of an answer to control data that have none, see Options.ReplyFromDestination.
func (c *Conn) fromDestination(o *op, control []byte, to netip.AddrPort) []byte {
	if _, named := destinationIn(control); named || !c.local.IP.IsUnspecified() {
		return control
	}
	if c.family == wsk.AF_INET6 && to.Addr().Is4() { // as the sender was told
		to = netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())
	} else if c.family == wsk.AF_INET {
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	}
	source := c.replies.source(to)
	if !source.IsValid() {
		return control
	}
	if len(control) == 0 {
		control = o.control[:0]
	}
	return wsk.AppendPktinfo(control, source, 0)
}

// sent is the result of a send that has ended.
func (c *Conn) sent(o *op, call string, status wsk.NTSTATUS) error {
	switch status {
	case wsk.STATUS_SUCCESS: // also if the deadline has come meanwhile
		return nil
	case wsk.STATUS_CANCELLED, wsk.STATUS_FILE_CLOSED:
		if err := c.writes.cancelled(o); err != nil {
			return err
		}
	}
	return &StatusError{Call: call, Status: status, errno: o.sendError(status)}
}

// sendError is what Linux says to a send where WSK has one status for several errors of Linux; nil where the status tells.
func (o *op) sendError(status wsk.NTSTATUS) error {
	if status == wsk.STATUS_ACCESS_DENIED && o.irp.SendProgress() == wsk.SendFiltered {
		return syscall.EPERM
	}
	return o.packetInfoError(status)
}

// packetInfoError is what Linux says to an IP_PKTINFO or IPV6_PKTINFO with a source or an interface that is none of the
// host's, and to a zone that is none, for which WSK has one status. It is nil where that is not the matter.
func (o *op) packetInfoError(status wsk.NTSTATUS) error {
	if status != wsk.STATUS_INVALID_ADDRESS_COMPONENT {
		return nil
	}
	it := wsk.CMsgs(o.sentControl)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		switch {
		case m.Level == wsk.IPPROTO_IP && m.Type == wsk.IP_PKTINFO && len(m.Data) >= 8:
			if [4]byte(m.Data) == [4]byte{} {
				return syscall.ENODEV
			}
			return syscall.ENETUNREACH
		case m.Level == wsk.IPPROTO_IPV6 && m.Type == wsk.IPV6_PKTINFO && len(m.Data) >= 20:
			if [16]byte(m.Data) == [16]byte{} {
				return syscall.ENODEV
			}
			return syscall.EINVAL
		}
	}
	if o.to.Addr().Zone() != "" {
		return syscall.ENETUNREACH
	}
	return nil
}
