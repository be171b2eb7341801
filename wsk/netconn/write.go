// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net"
	"net/netip"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// send sends one datagram and waits until it has left. With fixed it goes to the fixed remote, and to is not valid.
func (c *Conn) send(b, oob []byte, to netip.AddrPort, fixed bool) error {
	o, err := c.writes.begin()
	if err != nil {
		return err
	}
	defer c.writes.end(o)
	var remote wsk.SOCKADDR
	is4 := c.is4
	if !fixed {
		if remote, err = c.sockaddr(o, to); err != nil {
			return err
		}
		is4 = c.family == wsk.AF_INET || to.Addr().Unmap().Is4()
	}
	var control []byte
	if len(oob) != 0 {
		if control, err = o.writeControl(oob, is4); err != nil {
			return err
		}
	}
	o.pointAt(b)
	return c.sent(o, "WskSendTo", o.wait(c.socket.SendTo(&o.buf, 0, remote, control, &o.irp)))
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
	return &StatusError{call, status}
}

// Write sends b as one datagram to the fixed remote and returns when it has left.
func (c *Conn) Write(b []byte) (int, error) {
	err := error(syscall.EDESTADDRREQ)
	if c.remote != nil {
		err = c.send(b, nil, netip.AddrPort{}, true)
	} else if refused := c.writes.refused(); refused != nil {
		err = refused
	}
	if err != nil {
		return 0, c.opError("write", nil, err)
	}
	return len(b), nil
}

// WriteToUDPAddrPort sends b as one datagram to addr and returns when it has left.
func (c *Conn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	n, _, err := c.writeMsg(b, nil, addr, false)
	return n, err
}

// WriteToUDP is [Conn.WriteToUDPAddrPort] with another form of address.
func (c *Conn) WriteToUDP(b []byte, addr *net.UDPAddr) (int, error) {
	n, _, err := c.writeMsgTo(b, nil, addr, true)
	return n, err
}

// WriteTo implements net.PacketConn. The address must be a *net.UDPAddr.
func (c *Conn) WriteTo(b []byte, addr net.Addr) (int, error) {
	a, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, c.opError("write", addr, syscall.EINVAL)
	}
	return c.WriteToUDP(b, a)
}

// WriteMsgUDPAddrPort sends b as one datagram with the control messages in oob, in the layout and with the numbers of
// Linux: IP_PKTINFO (ipi_spec_dst and ipi_ifindex), IP_TTL, IP_TOS, IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS and
// UDP_SEGMENT. They go for this datagram and override the socket's options. addr is the zero AddrPort on a connection
// that was dialled, and only there. It returns the lengths of b and oob, when the datagram has left.
func (c *Conn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	return c.writeMsg(b, oob, addr, addr != netip.AddrPort{})
}

// WriteMsgUDP is [Conn.WriteMsgUDPAddrPort] with another form of address.
func (c *Conn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	return c.writeMsgTo(b, oob, addr, addr != nil)
}

// writeMsgTo is writeMsg for a *net.UDPAddr.
func (c *Conn) writeMsgTo(b, oob []byte, addr *net.UDPAddr, given bool) (int, int, error) {
	var to netip.AddrPort
	if addr == nil {
		if given && c.remote == nil {
			return 0, 0, c.opError("write", nil, errMissingAddress)
		}
		return c.writeMsg(b, oob, to, given)
	}
	to, err := addrPort(addr)
	if err != nil {
		return 0, 0, c.opError("write", addr, err)
	}
	return c.writeMsg(b, oob, to, true)
}

// writeMsg sends by the rules of package net: a connection that was dialled takes no address, any other needs one.
func (c *Conn) writeMsg(b, oob []byte, to netip.AddrPort, given bool) (int, int, error) {
	var err error
	switch {
	case c.remote != nil && (given || to != netip.AddrPort{}):
		err = net.ErrWriteToConnected
	case c.remote == nil && !given && to == netip.AddrPort{}:
		err = errMissingAddress
	default:
		err = c.send(b, oob, to, c.remote != nil)
	}
	if err != nil {
		return 0, 0, c.opError("write", opAddr(to), err)
	}
	return len(b), len(oob), nil
}
