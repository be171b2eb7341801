// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// TestICMPErrno: each ICMP error is the same error of a connection that was dialled, or none, as with a socket of the kernel.
func TestICMPErrno(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: lab.A.NS.FD()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kernel := pcKernel(lab.A)
	for _, family := range []struct {
		raw   string
		a, b  netip.Addr
		types map[uint8]uint8 // with the number of codes that reach a socket
	}{
		{"ip4:icmp", lab.A.IPv4(), lab.B.IPv4(), map[uint8]uint8{3: 16, 11: 1, 12: 3}},
		{"ip6:ipv6-icmp", lab.A.IPv6(), lab.B.IPv6(), map[uint8]uint8{1: 9, 2: 1, 3: 2, 4: 3}},
	} {
		var raw net.PacketConn
		in(t, lab.B, func() (err error) {
			raw, err = net.ListenPacket(family.raw, family.b.String())
			return err
		})
		defer raw.Close()
		far, err := pcKernel(lab.B).Listen("udp", netip.AddrPortFrom(family.b, 0))
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		told := func(c conn, err error, kind, code uint8, arrived func() bool) string {
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(testenv.Patience(5 * time.Second)))
			near := at(family.a, c)
			if _, err := raw.WriteTo(icmpAbout(kind, code, near, at(family.b, far)), &net.IPAddr{IP: family.a.AsSlice()}); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(waitLimit); !arrived(); <-time.After(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("ICMP type %d code %d does not arrive", kind, code)
				}
			}
			if _, err := far.WriteToUDPAddrPort([]byte("after"), near); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 10)); err != nil {
				return errnoOf(err)
			}
			return "no error"
		}
		for kind, codes := range family.types {
			for code := range codes {
				c, err := kernel.Dial("udp", netip.AddrPort{}, at(family.b, far))
				want := told(c, err, kind, code, func() bool { return true })
				before := s.Datapath().Info().ICMPErrors
				ours, err := s.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at(family.b, far)))
				got := told(ours, err, kind, code, func() bool { return s.Datapath().Info().ICMPErrors > before })
				if got != want {
					t.Errorf("%s type %d code %d: %s, package net: %s", family.raw, kind, code, got, want)
				}
			}
		}
	}
}

// icmpAbout is an ICMP error about a datagram from near to far.
func icmpAbout(kind, code uint8, near, far netip.AddrPort) []byte {
	b := make([]byte, 8)
	b[0], b[1] = kind, code
	payload := binary.BigEndian.AppendUint16(nil, near.Port())
	payload = binary.BigEndian.AppendUint16(payload, far.Port())
	payload = append(payload, 0, 9, 0, 1, 'x')
	if near.Addr().Is6() {
		if kind == 2 {
			b[6], b[7] = 5, 0 // an MTU of 1280
		}
		b = append(b, 0x60, 0, 0, 0, 0, 9, 17, 64)
		b = append(append(b, near.Addr().AsSlice()...), far.Addr().AsSlice()...)
		return append(b, payload...) // the kernel puts in the checksum
	}
	if kind == 3 && code == 4 {
		b[6], b[7] = 5, 0x78 // an MTU of 1400
	}
	header := append([]byte{0x45, 0, 0, 29, 0, 1, 0x40, 0, 64, 17, 0, 0}, near.Addr().AsSlice()...)
	header = append(header, far.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(header[10:], internetChecksum(header))
	b = append(append(b, header...), payload...)
	binary.BigEndian.PutUint16(b[2:], internetChecksum(b))
	return b
}

func internetChecksum(b []byte) uint16 {
	var sum uint32
	for i, v := range b {
		sum += uint32(v) << (8 * (1 - i%2))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
