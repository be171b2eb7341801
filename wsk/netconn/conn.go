// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Conn is a UDP connection over a WSK socket, made by [Listen] or [Dial]. It has the methods of *net.UDPConn except
// File, and can stand in for it as a net.PacketConn and a net.Conn.
//
// All methods are safe for concurrent use. Concurrent reads are served in the order of their calls. A slice that is
// passed to a method belongs to the provider until the method returns. The methods with a netip.AddrPort allocate
// nothing, except when they fail.
type Conn struct {
	socket  *wsk.Socket
	opts    Options
	network string
	family  uint16 // AF_INET or AF_INET6
	v6Only  bool
	local   *net.UDPAddr
	remote  *net.UDPAddr // nil unless dialled
	nowhere bool         // remote has port 0, where nobody is
	is4     bool         // of remote
	// reportsErrors is set when ICMP errors come in as receives.
	reportsErrors bool

	reads, writes side

	replies                   *replies     // with Options.ReplyFromDestination
	receiveBuffer, sendBuffer atomic.Int64 // as they were set last, 0 for the default
	mirror                    mirror

	copyEnded func(*op) // copyEnd of this connection
	late      atomic.Pointer[lateError]

	// connectionError is an ICMP error that a batch has met behind datagrams; the next read reports it.
	connectionError atomic.Pointer[StatusError]
}

var (
	_ net.Conn       = (*Conn)(nil)
	_ net.PacketConn = (*Conn)(nil)
)

// LocalAddr is the address that the connection is bound to, a *net.UDPAddr. It is shared, so do not change it.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the fixed remote address, a *net.UDPAddr, or nil if there is none. It is shared, so do not change it.
func (c *Conn) RemoteAddr() net.Addr {
	if c.remote == nil {
		return nil
	}
	return c.remote
}

// Socket is the WSK socket below, for the options that Conn has no method for. Receiving on it, closing it and setting
// its remote address must be left to the Conn.
func (c *Conn) Socket() *wsk.Socket { return c.socket }

// SetDeadline sets both deadlines. A read or write that is blocked at its deadline, or begins after it, fails with an
// error that wraps os.ErrDeadlineExceeded and whose Timeout method reports true; the zero time means no deadline.
//
// A write waits, and so can meet its deadline, only for room in the write buffer and for the route to be known. With
// Options.Strict it waits until the datagram has left; one that is with the kernel by then is not taken back: the write ends
// when the kernel is done with it.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.reads.setDeadline(t); err != nil {
		return c.setError(err)
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of reads, see [Conn.SetDeadline].
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setError(c.reads.setDeadline(t)) }

// SetWriteDeadline sets the deadline of writes, see [Conn.SetDeadline].
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setError(c.writes.setDeadline(t)) }

// SetReadBuffer sets SO_RCVBUF, the number of bytes that are buffered for reads to come. It is doubled as on Linux, since
// datagrams count the memory that they occupy. What arrives beyond that is dropped.
func (c *Conn) SetReadBuffer(bytes int) error { return c.setError(c.setReceiveBuffer(bytes)) }

// SetWriteBuffer sets SO_SNDBUF, see Options.WriteBuffer.
func (c *Conn) SetWriteBuffer(bytes int) error { return c.setError(c.setSendBuffer(bytes)) }

func (c *Conn) setReceiveBuffer(bytes int) error {
	if err := checkBuffer(bytes); err != nil {
		return err
	}
	if err := c.setOption(wsk.SOL_SOCKET, wsk.SO_RCVBUF, receiveLimit(bytes)); err != nil {
		return err
	}
	c.receiveBuffer.Store(int64(bytes))
	return nil
}

func (c *Conn) setSendBuffer(bytes int) error {
	if err := checkBuffer(bytes); err != nil {
		return err
	}
	if err := c.setOption(wsk.SOL_SOCKET, wsk.SO_SNDBUF, uint32(bytes)); err != nil {
		return err
	}
	c.sendBuffer.Store(int64(bytes))
	c.writes.setRoom(bytes)
	return nil
}

// Failed is how many datagrams were accepted by writes and did not leave: the neighbour did not answer, the device
// dropped them, or others have taken their room meanwhile. With Options.Strict their writes have said so.
func (c *Conn) Failed() uint64 { return c.writes.failed.Load() }

// checkBuffer refuses the size of a buffer that is negative or beyond an int of C, which the option is on Linux.
func checkBuffer(bytes int) error {
	if bytes < 0 || int64(bytes) > 1<<31-1 {
		return &StatusError{Call: "WskControlSocket", Status: wsk.STATUS_INVALID_PARAMETER}
	}
	return nil
}

// minReceiveBuffer is SOCK_MIN_RCVBUF of Linux on a 64-bit processor (net/core/sock.c).
const minReceiveBuffer = 2304

// receiveLimit is what Linux makes of SO_RCVBUF.
func receiveLimit(bytes int) uint32 { return max(2*uint32(bytes), minReceiveBuffer) }

// SetDSCP sets the upper six bits of the TOS and the traffic class of what is sent.
func (c *Conn) SetDSCP(dscp int) error {
	if dscp < 0 || dscp > 63 {
		return c.setError(&StatusError{Call: "WskControlSocket", Status: wsk.STATUS_INVALID_PARAMETER})
	}
	if c.family == wsk.AF_INET6 {
		if err := c.setOption(wsk.IPPROTO_IPV6, wsk.IPV6_TCLASS, uint32(dscp)<<2); err != nil || c.v6Only {
			return c.setError(err)
		}
	}
	return c.setError(c.setOption(wsk.IPPROTO_IP, wsk.IP_TOS, uint32(dscp)<<2))
}

// SetControl turns control messages for the ReadMsg forms on or off. It takes the place of the socket options
// IP_PKTINFO, IP_RECVTTL and IP_RECVTOS and their IPv6 counterparts, and of the SetControlMessage methods of
// golang.org/x/net.
func (c *Conn) SetControl(flags ControlFlags, on bool) error {
	return c.setError(c.setControl(flags, on))
}

func (c *Conn) setControl(flags ControlFlags, on bool) error {
	for _, o := range [...]struct {
		flag   ControlFlags
		v4, v6 uint32
	}{
		{ControlPacketInfo, wsk.IP_PKTINFO, wsk.IPV6_PKTINFO},
		{ControlTTL, wsk.IP_RECVTTL, wsk.IPV6_HOPLIMIT},
		{ControlTOS, wsk.IP_RECVTOS, wsk.IPV6_RECVTCLASS},
	} {
		if flags&o.flag == 0 {
			continue
		}
		if err := c.setBoth(o.v4, o.v6, on); err != nil {
			return err
		}
	}
	return nil
}

// setBoth sets an option on the levels that the socket's datagrams can have.
func (c *Conn) setBoth(v4, v6 uint32, on bool) error {
	var value uint32
	if on {
		value = 1
	}
	if c.family == wsk.AF_INET6 {
		if err := c.setOption(wsk.IPPROTO_IPV6, v6, value); err != nil || c.v6Only {
			return err
		}
	}
	return c.setOption(wsk.IPPROTO_IP, v4, value)
}

// setOption sets an option of four bytes.
func (c *Conn) setOption(level, code, value uint32) error {
	return c.setOptionBytes(level, code, binary.LittleEndian.AppendUint32(nil, value))
}

func (c *Conn) setOptionBytes(level, code uint32, input []byte) error {
	_, err := control(c.socket, wsk.WskSetOption, level, code, input, nil)
	return err
}

// control is WskControlSocket. Most requests need an IRP, so all get one. n is the size of the output, or the room that it
// would need.
func control(s *wsk.Socket, what wsk.ControlSocketType, level, code uint32, input, output []byte) (n int, err error) {
	irp := wsk.AllocateIRP()
	s.ControlSocket(what, code, level, input, output, nil, irp)
	_ = irp.Wait(context.Background())
	return int(irp.IoStatus.Information), statusError("WskControlSocket", irp.IoStatus.Status)
}

// setMark sets SO_MARK.
func (c *Conn) setMark(mark uint32) error {
	return statusError("WskControlSocket", c.socket.SetMark(mark))
}

func (c *Conn) setError(err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: "set", Net: c.network, Addr: c.local, Err: err}
}

// Close ends the connection. Calls that are blocked fail with an error that wraps net.ErrClosed, and so do all later calls, a
// second Close too. What was written and has not left is waited for: for a tenth of a second where only neighbours or links
// are missing, for a second in all; the rest is dropped, and counted by [Conn.Failed]. Then it waits until the kernel has
// given back what it has, and returns when the port is free.
func (c *Conn) Close() error {
	if !c.reads.close() {
		return c.opError("close", nil, net.ErrClosed)
	}
	c.writes.close()
	c.reads.cancelCalls()
	c.writes.drain()
	c.writes.dropAllParked()
	c.mirror.close()
	irp := wsk.AllocateIRP()
	c.socket.Close(irp)
	_ = irp.Wait(context.Background())
	if err := statusError("WskCloseSocket", irp.IoStatus.Status); err != nil {
		return c.opError("close", nil, err)
	}
	return nil
}
