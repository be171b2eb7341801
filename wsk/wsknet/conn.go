// SPDX-License-Identifier: Apache-2.0

package wsknet

import (
	"net"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// UDPConn is a connection of a [Stack]. Its methods are those of [netconn.Conn].
type UDPConn struct {
	*netconn.Conn

	once  sync.Once
	ended func() // tells the stack that the connection is closed
}

var (
	_ net.Conn       = (*UDPConn)(nil)
	_ net.PacketConn = (*UDPConn)(nil)
)

// Close is [netconn.Conn.Close]. The last connection of the stack that the functions of the package share closes that
// too, and returns when its queues and programs are free.
func (c *UDPConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.ended)
	return err
}
