// SPDX-License-Identifier: Apache-2.0

// Package sockets opens the UDP sockets of quic-go's integration suite: those of package net, or with the build tag wsknet
// those of package wsknet. With SUITE_NAMESPACES=1 in the environment the first socket of a test, which is its server's, is
// in another network namespace than the rest, and a veth pair is between them; otherwise all are on the loopback interface.
// suite.sh puts it into a copy of quic-go.
package sockets

import (
	"net"
	"net/netip"
	"os"
	"path"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// apart is set when there are two hosts, whose namespaces end with the process.
var apart *testenv.Lab

var mu sync.Mutex
var (
	served = map[string]bool{} // tests that have their server's socket
	hosts  = map[int]net.IP{}  // where the socket of a port is, with two hosts
)

func init() {
	if os.Getenv("SUITE_NAMESPACES") == "" {
		return
	}
	var err error
	if apart, err = testenv.NewLab(testenv.Topology{}); err != nil {
		panic(err)
	}
	if err := prepare(apart); err != nil {
		panic(err)
	}
}

var loopback = net.IPv4(127, 0, 0, 1)

// Of opens a socket of a test.
func Of(t testing.TB) (*UDPConn, error) {
	mu.Lock()
	first := true
	for name := t.Name(); name != "."; name = path.Dir(name) { // those that it is a part of
		first = first && !served[name]
	}
	served[t.Name()] = true
	mu.Unlock()
	if apart == nil {
		return listenUDP(nil, "udp", &net.UDPAddr{IP: loopback})
	}
	if first {
		return Listen("udp", nil)
	}
	return Dial("udp", nil)
}

// Listen opens the socket of a server: with two hosts on the first, at its address.
func Listen(network string, laddr *net.UDPAddr) (*UDPConn, error) {
	if apart == nil {
		return listenUDP(nil, network, laddr)
	}
	return register(apart.B, network, laddr)
}

// Dial opens the socket of a client or a proxy: with two hosts on the other, at its address.
func Dial(network string, laddr *net.UDPAddr) (*UDPConn, error) {
	if apart == nil {
		return listenUDP(nil, network, laddr)
	}
	return register(apart.A, network, laddr)
}

func register(host *testenv.Host, network string, laddr *net.UDPAddr) (*UDPConn, error) {
	at := &net.UDPAddr{IP: host.IPv4().AsSlice()}
	if laddr != nil {
		at.Port = laddr.Port
	}
	c, err := listenUDP(host, network, at)
	if err == nil {
		mu.Lock()
		hosts[c.LocalAddr().(*net.UDPAddr).Port] = at.IP
		mu.Unlock()
	}
	return c, err
}

// IP is the address of the socket that has a port.
func IP(port int) net.IP {
	mu.Lock()
	defer mu.Unlock()
	if ip := hosts[port]; ip != nil {
		return ip
	}
	return loopback
}

// Addresses are what a certificate of the suite is for.
func Addresses() []net.IP {
	if apart == nil {
		return []net.IP{loopback}
	}
	return []net.IP{loopback, apart.A.IPv4().AsSlice(), apart.B.IPv4().AsSlice()}
}

// Where is an address of this host, with two hosts that of the one whose socket has the port.
func Where(a *net.UDPAddr) *net.UDPAddr {
	if addr, _ := netip.AddrFromSlice(a.IP); apart != nil && a.Port != 0 && addr.Unmap().IsLoopback() {
		a.IP = IP(a.Port)
	}
	return a
}

// ResolveUDPAddr is net.ResolveUDPAddr, see Where.
func ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	a, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	return Where(a), nil
}
