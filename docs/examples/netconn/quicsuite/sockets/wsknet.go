// SPDX-License-Identifier: Apache-2.0

//go:build wsknet

package sockets

import (
	"net"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// UDPConn is a socket of the suite.
type UDPConn = wsknet.UDPConn

// stacks are those of the hosts, which end with the process.
var stacks = map[*testenv.Host]*wsknet.Stack{}

func prepare(lab *testenv.Lab) error {
	for _, host := range []*testenv.Host{lab.A, lab.B} {
		s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: host.NS.FD()}})
		if err != nil {
			return err
		}
		stacks[host] = s
	}
	return nil
}

func listenUDP(host *testenv.Host, network string, laddr *net.UDPAddr) (*UDPConn, error) {
	if host == nil {
		return wsknet.ListenUDP(network, laddr)
	}
	return stacks[host].ListenUDP(network, laddr)
}
