// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv6"
)

// PacketConn6 has the methods of an ipv6.PacketConn, see [PacketConn4].
//
// All methods are safe for concurrent use.
type PacketConn6 struct {
	*ipv6.PacketConn
	c Datagrams
}

// NewPacketConn6 is ipv6.NewPacketConn. Closing it closes c.
func NewPacketConn6(c Datagrams) *PacketConn6 { return &PacketConn6{ipv6.NewPacketConn(c), c} }

// ReadFrom reads a datagram, and what SetControlMessage has asked for, nil if that is nothing.
func (p *PacketConn6) ReadFrom(b []byte) (n int, cm *ipv6.ControlMessage, src net.Addr, err error) {
	var oob [roomForControl]byte
	n, oobn, from, err := readMsg(p.c, b, oob[:])
	if err != nil {
		return 0, nil, nil, err
	}
	if oobn > 0 {
		cm = new(ipv6.ControlMessage)
		if err := cm.Parse(oob[:oobn]); err != nil {
			return 0, nil, nil, parseError(p.c, err)
		}
		if from.IP.To4() == nil {
			cm.Src = from.IP
		}
	}
	return n, cm, from, nil
}

// WriteTo sends b as one datagram to dst, as cm says, which may be nil. dst is nil on a connection that was dialled, and only
// there.
func (p *PacketConn6) WriteTo(b []byte, cm *ipv6.ControlMessage, dst net.Addr) (n int, err error) {
	return writeMsg(p.c, b, cm.Marshal(), dst)
}

// ReadBatch is [Conn.ReadBatch].
func (p *PacketConn6) ReadBatch(ms []ipv6.Message, flags int) (int, error) {
	return p.c.ReadBatch(ms, flags)
}

// WriteBatch is [Conn.WriteBatch].
func (p *PacketConn6) WriteBatch(ms []ipv6.Message, flags int) (int, error) {
	return p.c.WriteBatch(ms, flags)
}

// SetBPF refuses: no filter of the kernel sees the connection's datagrams.
func (p *PacketConn6) SetBPF([]bpf.RawInstruction) error { return optionError(p.c, errNoFilter) }
