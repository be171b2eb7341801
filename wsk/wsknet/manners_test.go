// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// errnoOf is the errno in an error of a connection, found as programs find it.
func errnoOf(err error) string {
	if err == nil {
		return "nil"
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Sprintf("%v (%T)", err, err)
	}
	return errno.Error()
}

// TestManners: the same writes by sockets of the kernel and by connections of this package, in one namespace, end in the
// same way, and neither waits for a neighbour.
func TestManners(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	four := lab.A.IPv4().As4()
	silent := func(last byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{four[0], four[1], four[2], last}), 9)
	}
	for _, tc := range []struct {
		name string
		size int
		to   netip.AddrPort
	}{
		{"peer", 10, netip.AddrPortFrom(lab.B.IPv4(), 9)},
		{"fragments", 5000, netip.AddrPortFrom(lab.B.IPv4(), 9)},
		{"peer over IPv6", 10, netip.AddrPortFrom(lab.B.IPv6(), 9)},
		{"silent neighbour", 10, silent(90)},
		{"no route", 10, netip.MustParseAddrPort("198.51.100.1:9")},
		{"no route for IPv6", 10, netip.MustParseAddrPort("[2001:db8:ffff::1]:9")},
		{"too long", 65508, netip.AddrPortFrom(lab.B.IPv4(), 9)},
		{"the host itself", 10, netip.AddrPortFrom(lab.A.IPv4(), 9)},
		{"loopback", 10, netip.MustParseAddrPort("127.0.0.1:9")},
		{"the link's broadcast", 10, netip.AddrPortFrom(broadcastOf(lab.A.Addrs[0]), 9)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var want, got []string
			for _, f := range []functions{ofNet, ofWsknet} {
				var c conn
				in(t, lab.A, func() (err error) {
					c, err = f.listenUDP("udp", nil)
					return err
				})
				var list []string
				for range 3 {
					n, err := c.WriteToUDPAddrPort(make([]byte, tc.size), tc.to)
					list = append(list, fmt.Sprint(n, " ", errnoOf(err)))
				}
				c.Close()
				if f.name == "net" {
					want = list
				} else {
					got = list
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q, the kernel %q", got, want)
			}
		})
	}
}

func broadcastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	v := binary.BigEndian.Uint32(a[:]) | (1<<(32-p.Bits()) - 1)
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, v)))
}

// TestDeadHostHoldsNobodyUp: thousands of writes to hosts that do not answer, far more than the write buffer takes, fail
// nowhere and wait for nobody, and a peer that is alive gets its datagrams, in order. The kernel's socket would wait each
// time that its buffer is full, until it has given up a neighbour.
func TestDeadHostHoldsNobodyUp(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	b, err := pcKernel(lab.B).Listen("udp", netip.AddrPortFrom(lab.B.IPv4(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.SetReadBuffer(4 << 20)
	four := lab.A.IPv4().As4()
	var c conn
	in(t, lab.A, func() (err error) {
		c, err = ofWsknet.listenUDP("udp", &net.UDPAddr{IP: lab.A.IPv4().AsSlice()})
		return err
	})
	defer c.Close()
	c.SetDeadline(time.Now().Add(waitLimit))
	b.SetDeadline(time.Now().Add(waitLimit))
	if err := exchange(c, b, at(lab.B.IPv4(), b)); err != nil { // the peer's neighbour is known from here on
		t.Fatal(err)
	}
	const alive = 20
	for i := range alive {
		for j := range byte(100) {
			dead := netip.AddrPortFrom(netip.AddrFrom4([4]byte{four[0], four[1], four[2], 100 + j%3}), 9)
			if _, err := c.WriteToUDPAddrPort(make([]byte, 1000), dead); err != nil {
				t.Fatalf("to a dead host: %v", err)
			}
		}
		if _, err := c.WriteToUDPAddrPort([]byte{byte(i)}, at(lab.B.IPv4(), b)); err != nil {
			t.Fatalf("to the peer: %v", err)
		}
	}
	buf := make([]byte, 10)
	for i := range alive {
		if n, _, err := b.ReadFromUDPAddrPort(buf); n != 1 || err != nil || buf[0] != byte(i) {
			t.Fatalf("datagram %d: %d, %v, %v", i, n, buf[0], err)
		}
	}
}

// TestRefusedWrite: an ICMP error that no read has met ends the next write of a dialled connection, once, as the kernel's.
func TestRefusedWrite(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	for _, addr := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
		for _, f := range []functions{ofNet, ofWsknet} {
			var c conn
			in(t, lab.A, func() (err error) {
				c, err = f.dialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 9)))
				return err
			})
			for end := time.Now().Add(waitLimit); ; {
				_, err := c.Write([]byte("anybody there?"))
				if errors.Is(err, syscall.ECONNREFUSED) {
					break
				}
				if err != nil || time.Now().After(end) {
					t.Errorf("%s %v: %v, want ECONNREFUSED", f.name, addr, err)
					break
				}
				time.Sleep(time.Millisecond) // the answer takes the time that it takes
			}
			c.Close()
		}
	}
}

// TestLastWords: what was written before a close arrives, also where the neighbour was not known yet.
func TestLastWords(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	for _, f := range []functions{ofNet, ofWsknet} {
		lab := testenv.NewLabT(t, testenv.Topology{})
		b, err := pcKernel(lab.B).Listen("udp", netip.AddrPortFrom(lab.B.IPv4(), 0))
		if err != nil {
			t.Fatal(err)
		}
		b.SetDeadline(time.Now().Add(waitLimit))
		in(t, lab.A, func() error {
			c, err := f.dialUDP("udp", nil, net.UDPAddrFromAddrPort(at(lab.B.IPv4(), b)))
			if err != nil {
				return err
			}
			for i := range byte(10) {
				if _, err := c.Write([]byte{i}); err != nil {
					t.Error(err)
				}
			}
			return c.Close()
		})
		buf := make([]byte, 10)
		for i := range byte(10) {
			if n, _, err := b.ReadFrom(buf); n != 1 || err != nil || buf[0] != i {
				t.Fatalf("%s: datagram %d: %d, %v", f.name, i, buf[0], err)
			}
		}
		b.Close()
	}
}

// TestWriteAfterReturn: the caller may change what it has written as soon as the write has returned.
func TestWriteAfterReturn(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	b, err := pcKernel(lab.B).Listen("udp", netip.AddrPortFrom(lab.B.IPv4(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.SetReadBuffer(4 << 20)
	b.SetDeadline(time.Now().Add(waitLimit))
	var c conn
	in(t, lab.A, func() (err error) {
		c, err = ofWsknet.dialUDP("udp", nil, net.UDPAddrFromAddrPort(at(lab.B.IPv4(), b)))
		return err
	})
	defer c.Close()
	const n = 300
	payload, buf := make([]byte, 4000), make([]byte, 5000)
	for i := range n {
		size := []int{1, 100, 1400, 4000}[i%4]
		for j := range payload[:size] {
			payload[j] = byte(i)
		}
		if _, err := c.Write(payload[:size]); err != nil {
			t.Fatal(err)
		}
		for j := range payload {
			payload[j] = 0xa5
		}
		if i%20 != 19 { // within what the peer buffers
			continue
		}
		for k := i - 19; k <= i; k++ {
			got, _, err := b.ReadFrom(buf)
			if want := []int{1, 100, 1400, 4000}[k%4]; err != nil || got != want || buf[0] != byte(k) || buf[got-1] != byte(k) {
				t.Fatalf("datagram %d: %d bytes of %x to %x, %v", k, got, buf[0], buf[got-1], err)
			}
		}
	}
}
