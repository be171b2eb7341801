// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// waitLimit is how long something may take that should take no time. Only what is broken gets there.
const waitLimit = time.Minute

// conn is what package net and this one both open.
type conn interface{ pctest.Conn }

// functions are those of a package that open sockets.
type functions struct {
	name         string
	listenUDP    func(network string, laddr *net.UDPAddr) (conn, error)
	dialUDP      func(network string, laddr, raddr *net.UDPAddr) (conn, error)
	listenPacket func(network, address string) (net.PacketConn, error)
}

var ofNet = functions{
	name:      "net",
	listenUDP: func(network string, laddr *net.UDPAddr) (conn, error) { return orNil(net.ListenUDP(network, laddr)) },
	dialUDP: func(network string, laddr, raddr *net.UDPAddr) (conn, error) {
		return orNil(net.DialUDP(network, laddr, raddr))
	},
	listenPacket: net.ListenPacket,
}

var ofWsknet = functions{
	name:      "wsknet",
	listenUDP: func(network string, laddr *net.UDPAddr) (conn, error) { return orNil(wsknet.ListenUDP(network, laddr)) },
	dialUDP: func(network string, laddr, raddr *net.UDPAddr) (conn, error) {
		return orNil(wsknet.DialUDP(network, laddr, raddr))
	},
	listenPacket: wsknet.ListenPacket,
}

func ofStack(name string, s *wsknet.Stack) functions {
	return functions{
		name:      name,
		listenUDP: func(network string, laddr *net.UDPAddr) (conn, error) { return orNil(s.ListenUDP(network, laddr)) },
		dialUDP: func(network string, laddr, raddr *net.UDPAddr) (conn, error) {
			return orNil(s.DialUDP(network, laddr, raddr))
		},
		listenPacket: s.ListenPacket,
	}
}

func orNil[C conn](c C, err error) (conn, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// in runs f in the network namespace of a host of the lab.
func in(t testing.TB, host *testenv.Host, f func() error) {
	t.Helper()
	if err := host.NS.Do(f); err != nil {
		t.Fatal(err)
	}
}

// held is what a process holds of the kernel, and its goroutines.
type held struct{ goroutines, descriptors, namespaces, mappings int }

func holds(t testing.TB) (h held) {
	t.Helper()
	h.goroutines = runtime.NumGoroutine()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // the descriptor of the directory
		}
		h.descriptors++
		if strings.HasPrefix(target, "net:[") || strings.Contains(target, "/ns/net") {
			h.namespaces++
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	h.mappings = strings.Count(string(maps), "socket:[") // the rings of AF_XDP sockets
	return h
}

// gone waits until the process holds no more than before.
func gone(t testing.TB, before held) {
	t.Helper()
	for end := time.Now().Add(testenv.Patience(10 * time.Second)); ; time.Sleep(time.Millisecond) {
		now := holds(t)
		if now.goroutines <= before.goroutines && now.descriptors <= before.descriptors && now.namespaces <= before.namespaces && now.mappings <= before.mappings {
			return
		}
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%+v, before %+v\n%s", now, before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// exchange sends a datagram from one to the other and back.
func exchange(a, b conn, toB netip.AddrPort) error {
	for _, c := range []conn{a, b} {
		if err := c.SetDeadline(time.Now().Add(waitLimit)); err != nil {
			return err
		}
	}
	if _, err := a.WriteToUDPAddrPort([]byte("there"), toB); err != nil {
		return err
	}
	buf := make([]byte, 100)
	n, from, err := b.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != "there" {
		return fmt.Errorf("%q, %w", buf[:n], err)
	}
	if _, err := b.WriteToUDPAddrPort([]byte("back"), from); err != nil {
		return err
	}
	if n, _, err = a.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "back" {
		return fmt.Errorf("%q, %w", buf[:n], err)
	}
	return nil
}

// at is the address under which a connection of a host is reached.
func at(addr netip.Addr, c conn) netip.AddrPort {
	return netip.AddrPortFrom(addr, c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

// pcKernel opens sockets of the kernel on a host of the lab.
func pcKernel(host *testenv.Host) pctest.Host { return pctest.Kernel(host.IPv4(), host.NS.Do) }
