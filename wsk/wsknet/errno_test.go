// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// told is what a program can find in an error.
func told(err error) string {
	if err == nil {
		return "nil"
	}
	var op *net.OpError
	if !errors.As(err, &op) {
		return fmt.Sprintf("no *net.OpError: %v", err)
	}
	out := op.Op + " " + op.Net
	if op.Source != nil {
		out += " from"
	}
	if op.Addr != nil {
		out += " to"
	}
	var call *os.SyscallError
	var errno syscall.Errno
	var addr *net.AddrError
	switch {
	case errors.As(err, &call) && errors.As(err, &errno):
		out += ": " + errno.Error()
	case errors.As(err, &errno):
		out += ": bare " + errno.Error()
	case errors.As(err, &addr):
		out += ": address"
	}
	for name, target := range map[string]error{"closed": net.ErrClosed, "deadline": os.ErrDeadlineExceeded, "connected": net.ErrWriteToConnected} {
		if errors.Is(err, target) {
			out += ": " + name
		}
	}
	return out
}

// TestErrno: each row ends in the same error with a socket of the kernel and with a connection of this package.
func TestErrno(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	a4, a6, b4, b6 := lab.A.IPv4(), lab.A.IPv6(), lab.B.IPv4(), lab.B.IPv6()
	info4 := func(src string, index int) []byte {
		return (&ipv4.ControlMessage{Src: net.ParseIP(src), IfIndex: index}).Marshal()
	}
	info6 := func(src string, index int) []byte {
		return (&ipv6.ControlMessage{Src: net.ParseIP(src), IfIndex: index}).Marshal()
	}
	ap := func(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
	write := func(network string, local netip.Addr, size int, oob []byte, to netip.AddrPort) func(functions) error {
		return func(f functions) error {
			c, err := f.listenUDP(network, net.UDPAddrFromAddrPort(ap(local, 0)))
			if err != nil {
				return err
			}
			defer c.Close()
			_, _, err = c.WriteMsgUDPAddrPort(make([]byte, size), oob, to)
			return err
		}
	}
	dial := func(network string, to netip.AddrPort, what []byte) func(functions) error {
		return func(f functions) error {
			c, err := f.dialUDP(network, nil, net.UDPAddrFromAddrPort(to))
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write(what)
			return err
		}
	}
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	hop0 := cmsg(syscall.IPPROTO_IPV6, syscall.IPV6_HOPLIMIT, 0)
	for _, row := range []struct {
		name string
		do   func(f functions) error
		// instead is what this package says where it differs; docs/netconn.md has the list.
		instead string
	}{
		{name: "port 0", do: write("udp4", any4, 1, nil, ap(b4, 0))},
		{name: "port 0 of IPv6", do: write("udp6", any6, 1, nil, ap(b6, 0))},
		{name: "too long", do: write("udp4", any4, 65508, nil, ap(b4, 9))},
		{name: "far too long", do: write("udp4", any4, 1<<17, nil, ap(b4, 9))},
		{name: "too long of IPv6", do: write("udp6", any6, 65528, nil, ap(b6, 9))},
		{name: "foreign source", do: write("udp4", any4, 1, info4("198.51.100.7", 0), ap(b4, 9))},
		{name: "foreign source of IPv6", do: write("udp6", any6, 1, info6("2001:db8:7::7", 0), ap(b6, 9))},
		{name: "no such interface", do: write("udp4", any4, 1, info4("", 4711), ap(b4, 9))},
		{name: "no such interface of IPv6", do: write("udp6", any6, 1, info6("", 4711), ap(b6, 9))},
		{name: "no zone", do: write("udp6", any6, 1, nil, ap(netip.MustParseAddr("fe80::7"), 9))},
		{name: "a zone that there is not", do: write("udp6", any6, 1, nil, netip.MustParseAddrPort("[fe80::7%4711]:9"))},
		{name: "a group without a zone", do: write("udp6", any6, 1, nil, ap(netip.MustParseAddr("ff02::7"), 9))},
		{name: "a group without a route", do: write("udp4", any4, 1, nil, ap(netip.MustParseAddr("239.1.2.3"), 9))},
		{name: "a group of IPv6", do: write("udp6", any6, 1, nil, ap(netip.MustParseAddr("ff15::7"), 9))},
		{name: "the broadcast of all networks", do: write("udp4", any4, 1, nil, ap(netip.MustParseAddr("255.255.255.255"), 9))},
		{name: "a reserved address", do: write("udp4", any4, 1, nil, ap(netip.MustParseAddr("240.0.0.1"), 9))},
		{name: "the network without its hosts", do: write("udp4", any4, 1, nil, ap(netip.MustParseAddr("0.1.2.3"), 9))},
		{name: "from the loopback interface", do: write("udp4", netip.MustParseAddr("127.0.0.1"), 1, nil, ap(b4, 9))},
		{name: "from the loopback interface of IPv6", do: write("udp6", netip.IPv6Loopback(), 1, nil, ap(b6, 9))},
		{name: "nothing", do: write("udp4", any4, 0, nil, ap(b4, 9))},
		{name: "as long as can be", do: write("udp4", any4, 65507, nil, ap(b4, 9))},
		{name: "as long as can be of IPv6", do: write("udp6", any6, 65527, nil, ap(b6, 9))},
		{name: "hop limit 0", do: write("udp6", any6, 1, hop0, ap(b6, 9))},
		{name: "hop limit -1", do: write("udp6", any6, 1, cmsg(syscall.IPPROTO_IPV6, syscall.IPV6_HOPLIMIT, -1), ap(b6, 9))},
		{name: "hop limit -2", do: write("udp6", any6, 1, cmsg(syscall.IPPROTO_IPV6, syscall.IPV6_HOPLIMIT, -2), ap(b6, 9))},
		{name: "hop limit 256", do: write("udp6", any6, 1, cmsg(syscall.IPPROTO_IPV6, syscall.IPV6_HOPLIMIT, 256), ap(b6, 9))},
		{name: "traffic class -1", do: write("udp6", any6, 1, cmsg(syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, -1), ap(b6, 9))},
		{name: "traffic class 256", do: write("udp6", any6, 1, cmsg(syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, 256), ap(b6, 9))},
		{name: "tos -1", do: write("udp4", any4, 1, cmsg(syscall.IPPROTO_IP, syscall.IP_TOS, -1), ap(b4, 9))},
		{name: "tos 256", do: write("udp4", any4, 1, cmsg(syscall.IPPROTO_IP, syscall.IP_TOS, 256), ap(b4, 9))},
		{name: "ttl -1", do: write("udp4", any4, 1, cmsg(syscall.IPPROTO_IP, syscall.IP_TTL, -1), ap(b4, 9))},
		{name: "ttl 0", do: write("udp4", any4, 1, cmsg(syscall.IPPROTO_IP, syscall.IP_TTL, 0), ap(b4, 9))},
		{name: "ttl 256", do: write("udp4", any4, 1, cmsg(syscall.IPPROTO_IP, syscall.IP_TTL, 256), ap(b4, 9))},
		{name: "unknown message", do: write("udp4", any4, 1, cmsg(syscall.IPPROTO_IP, 99, 0), ap(b4, 9))},
		{name: "unknown message of IPv6", do: write("udp6", any6, 1, cmsg(syscall.IPPROTO_IPV6, 199, 0), ap(b6, 9))},
		{name: "unknown message of UDP", do: write("udp4", any4, 1, cmsg(syscall.IPPROTO_UDP, 99, 0), ap(b4, 9))},
		{name: "unknown level", do: write("udp4", any4, 1, cmsg(4711, 1, 0), ap(b4, 9))},
		{name: "unknown message of the socket", do: write("udp4", any4, 1, cmsg(syscall.SOL_SOCKET, 99, 0), ap(b4, 9))},
		{name: "malformed message", do: write("udp4", any4, 1, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ap(b4, 9))},
		{name: "other family", do: write("udp4", any4, 1, nil, ap(b6, 9))},
		{name: "other family of IPv6", do: write("udp6", any6, 1, nil, ap(b4, 9))},
		{name: "bound to the other family", do: write("udp", a6, 1, nil, ap(b4, 9))},
		{name: "no route", do: write("udp", any6, 1, nil, netip.MustParseAddrPort("198.51.100.1:9"))},
		{name: "no route of IPv6", do: write("udp", any6, 1, nil, netip.MustParseAddrPort("[2001:db8:7::7]:9"))},
		{name: "bind a foreign address", do: write("udp4", netip.MustParseAddr("198.51.100.7"), 1, nil, ap(b4, 9))},
		{name: "bind a foreign address of IPv6", do: write("udp6", netip.MustParseAddr("2001:db8:7::7"), 1, nil, ap(b6, 9))},
		{name: "bind without a zone", do: write("udp6", netip.MustParseAddr("fe80::7"), 1, nil, ap(b6, 9))},
		{name: "bind twice", do: func(f functions) error {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(ap(a4, 0)))
			if err != nil {
				return err
			}
			defer c.Close()
			d, err := f.listenUDP("udp", c.LocalAddr().(*net.UDPAddr))
			if err == nil {
				d.Close()
			}
			return err
		}},
		{name: "dial no route", do: func(f functions) error {
			c, err := f.dialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("198.51.100.1:9")))
			if err == nil {
				c.Close()
			}
			return err
		}},
		{name: "no right to broadcast", do: func(f functions) error {
			c, err := f.listenUDP("udp4", nil)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := set(t, c, [3]int{syscall.SOL_SOCKET, syscall.SO_BROADCAST, 0}); err != nil {
				return err
			}
			_, err = c.WriteToUDPAddrPort([]byte("x"), ap(broadcastOf(lab.A.Addrs[0]), 9))
			return err
		}},
		{name: "dial without a zone", do: dial("udp6", netip.MustParseAddrPort("[fe80::7]:9"), []byte("x"))},
		{name: "dial port 0", do: dial("udp4", ap(b4, 0), []byte("x"))},
		{name: "dial port 0 of IPv6", do: dial("udp6", ap(b6, 0), []byte("x"))},
		{name: "dial port 0 and write too much", do: dial("udp4", ap(b4, 0), make([]byte, 65508))},
		{name: "dial port 0 without a route", do: dial("udp4", netip.MustParseAddrPort("198.51.100.1:0"), []byte("x"))},
		{name: "dial a group without a route", do: dial("udp4", netip.MustParseAddrPort("239.1.2.3:9"), []byte("x"))},
		{name: "an address on a dialled connection", do: func(f functions) error {
			c, err := f.dialUDP("udp4", nil, net.UDPAddrFromAddrPort(ap(b4, 9)))
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.WriteToUDPAddrPort([]byte("x"), ap(b4, 9))
			return err
		}},
		{name: "no address", do: func(f functions) error {
			c, err := f.listenUDP("udp4", nil)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		}},
		{name: "closed write", do: func(f functions) error {
			c, err := f.listenUDP("udp4", nil)
			if err != nil {
				return err
			}
			c.Close()
			_, err = c.WriteToUDPAddrPort([]byte("x"), ap(b4, 9))
			return err
		}},
		{name: "closed read", do: func(f functions) error {
			c, err := f.listenUDP("udp4", nil)
			if err != nil {
				return err
			}
			c.Close()
			_, _, err = c.ReadFromUDPAddrPort(make([]byte, 1))
			return err
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var want, got string
			in(t, lab.A, func() error {
				want, got = told(row.do(ofNet)), told(row.do(ofWsknet))
				return nil
			})
			if row.instead != "" {
				want = row.instead
			}
			if got != want {
				t.Errorf("%s\n            the kernel: %s", got, want)
			}
		})
	}
}

// cmsg is one control message that consists of an int.
func cmsg(level, typ int32, value int32) []byte {
	b := make([]byte, syscall.CmsgSpace(4))
	h := b[syscall.SizeofCmsghdr:]
	put := func(at int, v uint32) {
		b[at], b[at+1], b[at+2], b[at+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
	put(0, uint32(syscall.CmsgLen(4)))
	put(8, uint32(level))
	put(12, uint32(typ))
	h[0], h[1], h[2], h[3] = byte(value), byte(value>>8), byte(value>>16), byte(value>>24)
	return b
}
