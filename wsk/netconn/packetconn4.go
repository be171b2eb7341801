// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Datagrams is what a [PacketConn4] and a [PacketConn6] are made of: a [Conn], or what has one inside, such as a
// wsknet.UDPConn.
type Datagrams interface {
	net.PacketConn
	net.Conn
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error)
	WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
	ReadBatch(ms []Message, flags int) (int, error)
	WriteBatch(ms []Message, flags int) (int, error)
	Socket() *wsk.Socket
}

// PacketConn4 has the methods of an ipv4.PacketConn, with the same meaning. An ipv4.PacketConn made of a connection has its
// options and memberships, but reads and writes by a descriptor of its own, which refuses; here those methods are the connection's. So a
// program that uses golang.org/x/net moves by the line that makes it:
//
//	p := ipv4.NewPacketConn(conn)    // before
//	p := netconn.NewPacketConn4(conn) // after
//
// All methods are safe for concurrent use.
type PacketConn4 struct {
	*ipv4.PacketConn
	c Datagrams
}

// NewPacketConn4 is ipv4.NewPacketConn. Closing it closes c.
func NewPacketConn4(c Datagrams) *PacketConn4 { return &PacketConn4{ipv4.NewPacketConn(c), c} }

// ReadFrom reads a datagram, and what SetControlMessage has asked for, nil if that is nothing.
func (p *PacketConn4) ReadFrom(b []byte) (n int, cm *ipv4.ControlMessage, src net.Addr, err error) {
	var oob [roomForControl]byte
	n, oobn, from, err := readMsg(p.c, b, oob[:])
	if err != nil {
		return 0, nil, nil, err
	}
	if oobn > 0 {
		cm = new(ipv4.ControlMessage)
		if err := cm.Parse(oob[:oobn]); err != nil {
			return 0, nil, nil, parseError(p.c, err)
		}
		cm.Src = from.IP.To4()
	}
	return n, cm, from, nil
}

// WriteTo sends b as one datagram to dst, from the source and through the interface that cm names; cm may be nil. dst is nil on a
// connection that was dialled, and only there.
func (p *PacketConn4) WriteTo(b []byte, cm *ipv4.ControlMessage, dst net.Addr) (n int, err error) {
	return writeMsg(p.c, b, cm.Marshal(), dst)
}

// ReadBatch is [Conn.ReadBatch].
func (p *PacketConn4) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	return p.c.ReadBatch(ms, flags)
}

// WriteBatch is [Conn.WriteBatch].
func (p *PacketConn4) WriteBatch(ms []ipv4.Message, flags int) (int, error) {
	return p.c.WriteBatch(ms, flags)
}

// SetMulticastInterface sets the interface that multicast datagrams leave through; nil leaves it to the route.
func (p *PacketConn4) SetMulticastInterface(ifi *net.Interface) error {
	var index uint32
	if ifi != nil {
		index = uint32(ifi.Index)
	}
	_, err := control(p.c.Socket(), wsk.WskSetOption, wsk.IPPROTO_IP, wsk.IP_MULTICAST_IF, binary.BigEndian.AppendUint32(nil, index), nil)
	return optionError(p.c, err)
}

// MulticastInterface is what SetMulticastInterface has set, or nil.
func (p *PacketConn4) MulticastInterface() (*net.Interface, error) {
	var b [4]byte
	_, err := control(p.c.Socket(), wsk.WskGetOption, wsk.IPPROTO_IP, wsk.IP_MULTICAST_IF, nil, b[:])
	index := binary.LittleEndian.Uint32(b[:])
	if err != nil || index == 0 {
		return nil, optionError(p.c, err)
	}
	return net.InterfaceByIndex(int(index))
}

// SetBPF refuses: no filter of the kernel sees the connection's datagrams.
func (p *PacketConn4) SetBPF([]bpf.RawInstruction) error { return optionError(p.c, errNoFilter) }

// errNoFilter is why there are no socket filters.
var errNoFilter = fmt.Errorf("no socket filter of the kernel sees the connection's datagrams, filter what is read: %w", errors.ErrUnsupported)

// roomForControl is for every control message that can be asked for.
const roomForControl = 256

// readMsg reads a datagram with its control messages.
func readMsg(c Datagrams, b, oob []byte) (n, oobn int, from *net.UDPAddr, err error) {
	n, oobn, _, from, err = c.ReadMsgUDP(b, oob)
	return n, oobn, from, err
}

// writeMsg sends a datagram with control messages.
func writeMsg(c Datagrams, b, oob []byte, dst net.Addr) (n int, err error) {
	to, ok := dst.(*net.UDPAddr)
	switch {
	case dst == nil && c.RemoteAddr() == nil:
		return c.Write(b) // which has the error
	case dst != nil && !ok:
		return c.WriteTo(b, dst) // which has the error
	}
	n, _, err = c.WriteMsgUDP(b, oob, to)
	return n, err
}

// optionError is the error of an option of a PacketConn4 or PacketConn6.
func optionError(c Datagrams, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: "set", Net: c.LocalAddr().Network(), Addr: c.LocalAddr(), Err: err}
}

// parseError is that of control messages that were read.
func parseError(c Datagrams, err error) error {
	return &net.OpError{Op: "read", Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Err: err}
}
