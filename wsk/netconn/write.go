// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// send sends one datagram and waits until it has left. With fixed it goes to the fixed remote, and to is not valid.
func (c *Conn) send(b, oob []byte, to netip.AddrPort, fixed bool) error {
	if c.nowhere {
		return c.sendNowhere(len(b))
	}
	if !c.opts.Strict && len(b) <= largest {
		return c.sendCopy(b, oob, to, fixed)
	}
	o, err := c.writes.begin()
	if err != nil {
		return err
	}
	defer c.writes.end(o)
	remote, control, err := c.aim(o, oob, to, fixed)
	if err != nil {
		return err
	}
	o.pointAt(b)
	return c.sent(o, "WskSendTo", o.wait(c.socket.SendTo(&o.buf, 0, remote, control, &o.irp)))
}

// sendNowhere is what becomes of a datagram of n bytes for port 0: the kernel's socket would send it, to nobody.
func (c *Conn) sendNowhere(n int) error {
	if err := c.writes.refused(); err != nil {
		return err
	}
	most := 65535 - 8 // of IPv6, where the header does not count
	if c.is4 {
		most -= 20
	}
	if n > most {
		return &StatusError{Call: "WskSendTo", Status: wsk.STATUS_INVALID_BUFFER_SIZE}
	}
	c.writes.failed.Add(1)
	return nil
}

var errNoDestination = os.NewSyscallError("write", syscall.EDESTADDRREQ)

// Write sends b as one datagram to the fixed remote address. It copies b, and waits only for room in the write buffer
// (Options.WriteBuffer) and for the route to be known, until the write deadline. nil does not say that the datagram has left:
// see [Conn.Failed]. With Options.Strict it does, and Write waits for that.
//
// An error is a *net.OpError with the errno of the kernel's socket, see [StatusError]: of this datagram, or of an ICMP error
// that no read has reported. On a connection that was not dialled it is EDESTADDRREQ.
func (c *Conn) Write(b []byte) (int, error) {
	err := errNoDestination
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

// WriteToUDPAddrPort sends b as one datagram to addr, and is [Conn.Write] otherwise. On a connection that was dialled it fails.
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
// that was dialled, and only there. It returns the lengths of b and oob.
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
