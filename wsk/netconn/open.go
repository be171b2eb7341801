// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Listen is net.ListenUDP: it opens a socket on a local address. network is "udp", "udp4" or "udp6". The zero laddr, or
// one without an address, means every address, of IPv4 only where "udp" meets a host without IPv6; port 0 means a free
// port of 49152–65535. A group means every address, too, and others that listen on a group may have the port as well; it
// joins none. npi is needed for the call only.
func Listen(npi *wsk.ProviderNPI, network string, laddr netip.AddrPort, opts Options) (*Conn, error) {
	return listen(context.Background(), npi, network, laddr, opts)
}

// Dial is net.DialUDP: it opens a socket on a local address, by default any, that exchanges datagrams with raddr only
// (SIO_WSK_SET_REMOTE_ADDRESS). Datagrams from others are dropped; ICMP errors are reported by the next read. An
// unspecified raddr means the host itself. A raddr with port 0, as programs dial that ask for their LocalAddr, is nobody's: nothing is
// read from it, and what is written counts as Failed; with Options.Strict it is an error. npi is needed for the call only.
func Dial(npi *wsk.ProviderNPI, network string, laddr, raddr netip.AddrPort, opts Options) (*Conn, error) {
	return dial(context.Background(), npi, network, laddr, raddr, opts)
}

func listen(ctx context.Context, npi *wsk.ProviderNPI, network string, laddr netip.AddrPort, opts Options,
) (*Conn, error) {
	f, err := listenForm(network, laddr)
	if err == nil {
		var c *Conn
		f = f.onGroup(network)
		c, err = open(ctx, npi, network, f, opts)
		if f.orIPv4 && isUnsupported(err) {
			c, err = open(ctx, npi, network, form4(netip.IPv4Unspecified(), laddr.Port()), opts)
		}
		if err == nil {
			return c, nil
		}
	}
	return nil, &net.OpError{Op: "listen", Net: network, Addr: opAddr(laddr), Err: err}
}

func dial(ctx context.Context, npi *wsk.ProviderNPI, network string, laddr, raddr netip.AddrPort, opts Options,
) (*Conn, error) {
	f, err := dialForm(network, laddr, raddr)
	if err == nil {
		var c *Conn
		if c, err = open(ctx, npi, network, f, opts); err == nil {
			if err = c.connect(raddr); err == nil {
				return c, nil
			}
			c.Close()
		}
	}
	return nil, &net.OpError{Op: "dial", Net: network, Source: opAddr(laddr), Addr: opAddr(raddr), Err: err}
}

// opAddr is an address for an error, the nil interface if there is none.
func opAddr(ap netip.AddrPort) net.Addr {
	if !ap.Addr().IsValid() && ap.Port() == 0 {
		return nil
	}
	return udpAddr(new(net.UDPAddr), ap)
}

// open makes a socket, sets it up and binds it. The options that must be in force for the first datagram are set before
// the bind.
func open(ctx context.Context, npi *wsk.ProviderNPI, network string, f form, opts Options) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	irp := wsk.AllocateIRP()
	npi.Socket(f.family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET,
		nil, nil, nil, nil, nil, irp)
	_ = irp.Wait(context.Background())
	if err := statusError("WskSocket", irp.IoStatus.Status); err != nil {
		return nil, err
	}
	c := &Conn{socket: irp.IoStatus.Socket, opts: opts, network: network, family: f.family, v6Only: f.v6Only}
	if opts.ReplyFromDestination {
		c.opts.Control |= ControlPacketInfo
		c.replies = new(replies)
	}
	c.copyEnded = c.copyEnd
	c.reads.left.L, c.writes.left.L = &c.reads.mu, &c.writes.mu
	c.writes.settled.L = &c.writes.mu
	c.writes.room.limit = defaultWriteBuffer
	if opts.WriteBuffer > 0 {
		c.writes.room.limit = opts.WriteBuffer
	}
	if err := c.setUp(f.group && !opts.ExclusiveAddress); err != nil {
		c.abandon()
		return nil, err
	}
	err := c.bind(ctx, f.bind)
	if f.group {
		err = groupInUse(err, f.bind.Port())
	}
	if err == nil && opts.Mark != 0 {
		err = c.setMark(opts.Mark)
	}
	if err != nil {
		c.abandon()
		return nil, err
	}
	return c, nil
}

// abandon closes a socket that did not become a connection. Nobody waits for the close, which takes as long as a bind
// under way.
func (c *Conn) abandon() { c.socket.Close(wsk.AllocateIRP()) }

// setUp sets the options. With shared others may have the address, too.
func (c *Conn) setUp(shared bool) error {
	type option struct {
		set                bool
		level, code, value uint32
	}
	buffers := [...]int{c.opts.ReadBuffer, c.opts.WriteBuffer}
	for _, n := range buffers {
		if err := checkBuffer(n); err != nil {
			return err
		}
	}
	for _, o := range [...]option{
		{c.family == wsk.AF_INET6 && !c.v6Only, wsk.IPPROTO_IPV6, wsk.IPV6_V6ONLY, 0},
		{true, wsk.SOL_SOCKET, wsk.SO_BROADCAST, 1},
		{c.opts.ReuseAddress || shared, wsk.SOL_SOCKET, wsk.SO_REUSEADDR, 1},
		{c.opts.ExclusiveAddress, wsk.SOL_SOCKET, wsk.SO_EXCLUSIVEADDRUSE, 1},
		{buffers[0] > 0, wsk.SOL_SOCKET, wsk.SO_RCVBUF, receiveLimit(buffers[0])},
		{buffers[1] > 0, wsk.SOL_SOCKET, wsk.SO_SNDBUF, uint32(buffers[1])},
	} {
		if !o.set {
			continue
		}
		if err := c.setOption(o.level, o.code, o.value); err != nil {
			return err
		}
	}
	return c.setControl(c.opts.Control, true)
}

// bind gives the socket its address. If ctx ends first the bind goes on by itself, and the caller abandons the socket.
func (c *Conn) bind(ctx context.Context, local netip.AddrPort) error {
	addr, err := c.opts.numericZone(local.Addr())
	if err != nil {
		return err
	}
	irp := wsk.AllocateIRP()
	c.socket.Bind(wsk.NewSockaddr(netip.AddrPortFrom(addr, local.Port())), 0, irp)
	if err := irp.Wait(ctx); err != nil {
		irp.Cancel()
		return err
	}
	if err := statusError("WskBind", irp.IoStatus.Status); err != nil {
		return err
	}
	bound := make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6)
	irp.Reuse(wsk.STATUS_SUCCESS)
	c.socket.GetLocalAddress(bound, irp)
	_ = irp.Wait(context.Background())
	if err := statusError("WskGetLocalAddress", irp.IoStatus.Status); err != nil {
		return err
	}
	ap, _ := bound.AddrPort()
	c.local = udpAddr(new(net.UDPAddr), ap)
	return nil
}

// groupInUse is the error of the bind of who listens on a group: to one that wants to share an address with one that does not,
// Windows says that this is denied, and Linux that it is in use.
func groupInUse(err error, port uint16) error {
	var status *StatusError
	if errors.As(err, &status) && status.Status == wsk.STATUS_ACCESS_DENIED && port >= firstUserPort {
		return &StatusError{Call: status.Call, Status: status.Status, errno: syscall.EADDRINUSE}
	}
	return err
}

// firstUserPort is the first port that takes no privilege (net.ipv4.ip_unprivileged_port_start).
const firstUserPort = 1024

// connect fixes the remote address and asks for ICMP errors. A provider that can't report those will do.
func (c *Conn) connect(raddr netip.AddrPort) error {
	addr, err := c.destination(raddr.Addr().Unmap())
	if err == nil {
		err = c.refuseConnect(addr)
	}
	if err != nil {
		return err
	}
	remote := netip.AddrPortFrom(addr, raddr.Port())
	if raddr.Port() == 0 && !c.opts.Strict {
		c.remote, c.is4, c.nowhere = udpAddr(new(net.UDPAddr), remote), addr.Is4(), true
		return c.localByRoute(remote)
	}
	irp := wsk.AllocateIRP()
	c.socket.ControlSocket(wsk.WskIoctl, wsk.SIO_WSK_SET_REMOTE_ADDRESS, 0, wsk.NewSockaddr(remote), nil, nil, irp)
	_ = irp.Wait(context.Background())
	if err := statusError("WskControlSocket", irp.IoStatus.Status); err != nil {
		return err
	}
	c.remote = udpAddr(new(net.UDPAddr), remote)
	c.is4 = addr.Is4()
	c.reportsErrors = c.setBoth(wsk.IP_RECVERR, wsk.IPV6_RECVERR, true) == nil
	return c.localByRoute(remote)
}

// localByRoute replaces the wildcard in LocalAddr by the address that the route to the remote prefers now. The socket
// stays bound to the wildcard. If the transport knows no routes the wildcard is left there; if it knows that there is none
// to the remote, that is an error, as of connect.
func (c *Conn) localByRoute(remote netip.AddrPort) error {
	source := make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6)
	irp := wsk.AllocateIRP()
	c.socket.ControlSocket(wsk.WskIoctl, wsk.SIO_ROUTING_INTERFACE_QUERY, 0, wsk.NewSockaddr(remote), source, nil, irp)
	_ = irp.Wait(context.Background())
	switch status := irp.IoStatus.Status; status {
	case wsk.STATUS_NETWORK_UNREACHABLE:
		return &StatusError{Call: "WskControlSocket", Status: status}
	case wsk.STATUS_SUCCESS:
		if ap, ok := source.AddrPort(); ok && c.local.IP.IsUnspecified() {
			c.local = udpAddr(new(net.UDPAddr), netip.AddrPortFrom(ap.Addr(), uint16(c.local.Port)))
		}
	}
	return nil
}
