// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// TestDialPort0: a connection that was dialled to port 0 has the local address of one that was dialled by package net, gets
// nothing from anybody, and counts what it does not send.
func TestDialPort0(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	b, err := pcKernel(lab.B).Listen("udp", netip.AddrPortFrom(lab.B.IPv4(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	nobody := &net.UDPAddr{IP: lab.B.IPv4().AsSlice()}
	var locals []string
	for _, f := range []functions{ofNet, ofWsknet} {
		var c conn
		in(t, lab.A, func() (err error) {
			c, err = f.dialUDP("udp", nil, nobody)
			return err
		})
		defer c.Close()
		if got := c.RemoteAddr().String(); got != nobody.String() {
			t.Errorf("%s: remote address %v", f.name, got)
		}
		local := c.LocalAddr().(*net.UDPAddr)
		locals = append(locals, local.IP.String())
		if _, err := b.WriteToUDPAddrPort([]byte("hello"), local.AddrPort()); err != nil {
			t.Fatal(err)
		}
		if f.name == "net" {
			continue
		}
		ours := c.(*wsknet.UDPConn)
		testenv.Eventually(t, waitLimit, "the datagram to have come", func() bool {
			stats := ours.Socket().ReceiveStatistics()
			return stats.Buffered+int(stats.Delivered) > 0
		})
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, err := c.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if n, err := ours.WriteBatch([]ipv4.Message{{Buffers: [][]byte{{1}}}, {Buffers: [][]byte{{2}}}}, 0); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if got := ours.Failed(); got != 2 {
			t.Errorf("%d failed", got)
		}
	}
	if locals[0] != locals[1] {
		t.Errorf("local addresses %v", locals)
	}
}

// TestWithoutZone: a datagram for a neighbour's link-local address without a zone arrives, as the kernel's.
func TestWithoutZone(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	far := linkLocalOf(t, lab.B)
	for _, f := range []functions{ofNet, ofWsknet} {
		var c, b conn
		in(t, lab.A, func() (err error) {
			c, err = f.listenUDP("udp", nil)
			return err
		})
		defer c.Close()
		in(t, lab.B, func() (err error) {
			b, err = ofNet.listenUDP("udp6", nil)
			return err
		})
		defer b.Close()
		if err := exchange(c, b, at(far, b)); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// linkLocalOf is the link-local address of a host.
func linkLocalOf(t *testing.T, host *testenv.Host) (addr netip.Addr) {
	t.Helper()
	in(t, host, func() error {
		ifi, err := net.InterfaceByIndex(host.If.Index())
		if err != nil {
			return err
		}
		list, err := ifi.Addrs()
		for _, a := range list {
			if ip, ok := netip.AddrFromSlice(a.(*net.IPNet).IP); ok && ip.Is6() && ip.IsLinkLocalUnicast() {
				addr = ip
			}
		}
		return err
	})
	if !addr.IsValid() {
		t.Skip("the host has no link-local address")
	}
	return addr
}
