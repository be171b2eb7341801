// SPDX-License-Identifier: Apache-2.0

//go:build !wsknet

package sockets

import (
	"net"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// UDPConn is a socket of the suite.
type UDPConn = net.UDPConn

func prepare(*testenv.Lab) error { return nil }

func listenUDP(host *testenv.Host, network string, laddr *net.UDPAddr) (c *UDPConn, err error) {
	if host == nil {
		return net.ListenUDP(network, laddr)
	}
	err = host.NS.Do(func() (err error) {
		c, err = net.ListenUDP(network, laddr)
		return err
	})
	return c, err
}
