// SPDX-License-Identifier: Apache-2.0

package examples

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// Bind is what wireguard-go sends and receives through: device.NewDevice(tun, &Bind{Listen: wsknet.ListenUDP}, logger). It
// takes the place of conn.NewStdNetBind(). A stack with netconn.Options.ReplyFromDestination answers peers from the
// address to which they send.
type Bind struct {
	Listen func(network string, laddr *net.UDPAddr) (*wsknet.UDPConn, error)

	conn     *wsknet.UDPConn // the device lets nobody open and close it while it is used
	messages sync.Pool       // of *[conn.IdealBatchSize]netconn.Message
}

func (b *Bind) Open(port uint16) (fns []conn.ReceiveFunc, actual uint16, err error) {
	if b.conn, err = b.Listen("udp", &net.UDPAddr{Port: int(port)}); err != nil {
		return nil, 0, err
	}
	c, ms := b.conn, make([]netconn.Message, b.BatchSize())
	receive := func(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		for i := range packets {
			ms[i].Buffers = packets[i : i+1]
		}
		n, err := c.ReadBatch(ms[:len(packets)], 0)
		for i, m := range ms[:n] {
			from := m.Addr.(*net.UDPAddr).AddrPort()
			sizes[i], eps[i] = m.N, &conn.StdNetEndpoint{AddrPort: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
		}
		return n, err
	}
	return []conn.ReceiveFunc{receive}, uint16(c.LocalAddr().(*net.UDPAddr).Port), nil
}

func (b *Bind) Close() error {
	if b.conn == nil {
		return nil
	}
	c := b.conn
	b.conn = nil
	return c.Close()
}

func (b *Bind) Send(bufs [][]byte, ep conn.Endpoint) error {
	ms, _ := b.messages.Get().(*[conn.IdealBatchSize]netconn.Message)
	if ms == nil {
		ms = new([conn.IdealBatchSize]netconn.Message)
	}
	defer b.messages.Put(ms)
	to := net.UDPAddrFromAddrPort(ep.(*conn.StdNetEndpoint).AddrPort)
	for i := range bufs {
		ms[i].Buffers, ms[i].Addr = bufs[i:i+1], to
	}
	_, err := b.conn.WriteBatch(ms[:len(bufs)], 0)
	return err
}

func (b *Bind) SetMark(mark uint32) error {
	raw, err := b.conn.SyscallConn()
	if err != nil {
		return err
	}
	e := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_MARK, int(mark)) })
	return errors.Join(err, e)
}

func (b *Bind) ParseEndpoint(s string) (conn.Endpoint, error) {
	to, err := netip.ParseAddrPort(s)
	return &conn.StdNetEndpoint{AddrPort: to}, err
}

func (b *Bind) BatchSize() int { return conn.IdealBatchSize }
