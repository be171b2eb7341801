// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn/pctest"
)

// set sets options by the descriptor of a connection, as programs do.
func set(t *testing.T, c conn, options ...[3]int) error {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for _, o := range options {
			failed = errors.Join(failed, unix.SetsockoptInt(int(fd), o[0], o[1], o[2]))
		}
	})
	return errors.Join(failed, err)
}

// controlOf reads a datagram and lists its control messages.
func controlOf(t *testing.T, c conn) (list []string) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(waitLimit))
	oob := make([]byte, 256)
	_, n, _, _, err := c.ReadMsgUDP(make([]byte, 100), oob)
	if err != nil {
		t.Fatal(err)
	}
	ms, err := syscall.ParseSocketControlMessage(oob[:n])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		list = append(list, fmt.Sprintf("%d/%d:%x", m.Header.Level, m.Header.Type, m.Data))
	}
	slices.Sort(list)
	return list
}

var (
	asks4 = [][3]int{{unix.IPPROTO_IP, unix.IP_RECVTOS, 1}, {unix.IPPROTO_IP, unix.IP_RECVTTL, 1}, {unix.IPPROTO_IP, unix.IP_PKTINFO, 1}}
	asks6 = [][3]int{{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1}}
	says4 = [][3]int{{unix.IPPROTO_IP, unix.IP_TOS, 0x2a}, {unix.IPPROTO_IP, unix.IP_TTL, 33}}
	says6 = [][3]int{{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0x2a}, {unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 33}}
)

// TestSyscallConn: what programs set by the descriptor has the effect that it has on a socket of the kernel, in both
// directions, for both versions of IP, and for the IPv4 of a dual-stack socket.
func TestSyscallConn(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	for _, tc := range []struct {
		network    string
		near, far  netip.Addr
		asks, says [][3]int
	}{
		{"udp4", lab.A.IPv4(), lab.B.IPv4(), asks4, says4},
		{"udp6", lab.A.IPv6(), lab.B.IPv6(), asks6, says6},
		{"udp", lab.A.IPv4(), lab.B.IPv4(), asks4, says4},
	} {
		t.Run(tc.network, func(t *testing.T) {
			var b conn
			in(t, lab.B, func() (err error) {
				b, err = ofNet.listenUDP(tc.network, nil)
				return err
			})
			defer b.Close()
			if err := set(t, b, slices.Concat(tc.asks, tc.says)...); err != nil {
				t.Fatal(err)
			}
			var sent, received []string
			for _, f := range []functions{ofNet, ofWsknet} {
				var c conn
				in(t, lab.A, func() (err error) {
					c, err = f.listenUDP(tc.network, nil)
					return err
				})
				if err := set(t, c, slices.Concat(tc.asks, tc.says)...); err != nil {
					t.Fatalf("%s: %v", f.name, err)
				}
				if _, err := c.WriteToUDPAddrPort([]byte("x"), at(tc.far, b)); err != nil {
					t.Fatal(err)
				}
				if _, err := b.WriteToUDPAddrPort([]byte("x"), at(tc.near, c)); err != nil {
					t.Fatal(err)
				}
				s, r := controlOf(t, b), controlOf(t, c)
				if f.name == "net" {
					sent, received = s, r
				} else if !slices.Equal(s, sent) || !slices.Equal(r, received) {
					t.Errorf("the peer got %q, of the kernel %q; received %q, the kernel %q", s, sent, r, received)
				}
				c.Close()
			}
		})
	}
}

// TestDontFragment: with IP_MTU_DISCOVER set by the descriptor what is longer than the path is refused, as by the kernel.
func TestDontFragment(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	for _, f := range []functions{ofNet, ofWsknet} {
		for _, far := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
			knowNeighbour(t, lab, far)
			var c conn
			in(t, lab.A, func() (err error) {
				c, err = f.listenUDP("udp", nil)
				return err
			})
			to := netip.AddrPortFrom(far, 9)
			if _, err := c.WriteToUDPAddrPort(make([]byte, 3000), to); err != nil {
				t.Errorf("%s: in fragments: %v", f.name, err)
			}
			err := set(t, c, [3]int{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO},
				[3]int{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO})
			if err != nil {
				t.Errorf("%s: %v", f.name, err)
			}
			if _, err := c.WriteToUDPAddrPort(make([]byte, 1400), to); err != nil {
				t.Errorf("%s: in one packet: %v", f.name, err)
			}
			if _, err := c.WriteToUDPAddrPort(make([]byte, 3000), to); !errors.Is(err, syscall.EMSGSIZE) {
				t.Errorf("%s: with DF: %v, want EMSGSIZE", f.name, err)
			}
			c.Close()
		}
	}
}

// knowNeighbour has the host A know the neighbour B: until then nothing is too long.
func knowNeighbour(t *testing.T, lab *testenv.Lab, far netip.Addr) {
	t.Helper()
	b, err := pctest.Kernel(far, lab.B.NS.Do).Listen("udp", netip.AddrPortFrom(far, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var a conn
	in(t, lab.A, func() (err error) {
		a, err = ofNet.listenUDP("udp", nil)
		return err
	})
	defer a.Close()
	if err := exchange(a, b, at(far, b)); err != nil {
		t.Fatal(err)
	}
}

// TestSegments: a control message UDP_SEGMENT makes datagrams of a buffer, as of the kernel's.
func TestSegments(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	b, err := pcKernel(lab.B).Listen("udp", netip.AddrPortFrom(lab.B.IPv4(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.SetDeadline(time.Now().Add(waitLimit))
	oob := make([]byte, syscall.CmsgSpace(2))
	copy(oob, cmsg(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000))
	oob[0] = byte(syscall.CmsgLen(2))
	for _, f := range []functions{ofNet, ofWsknet} {
		var c conn
		in(t, lab.A, func() (err error) {
			c, err = f.listenUDP("udp4", nil)
			return err
		})
		defer c.Close()
		if n, oobn, err := c.WriteMsgUDPAddrPort(make([]byte, 2500), oob, at(lab.B.IPv4(), b)); n != 2500 || oobn != len(oob) || err != nil {
			t.Errorf("%s: %d, %d, %v", f.name, n, oobn, err)
		}
		for _, want := range []int{1000, 1000, 500} {
			if n, _, err := b.ReadFrom(make([]byte, 3000)); n != want || err != nil {
				t.Errorf("%s: %d, %v, want %d", f.name, n, err, want)
			}
		}
	}
}

// TestDescriptorRefuses: nothing is read or written past the connection, and what would have no effect is an error.
func TestDescriptorRefuses(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	var c conn
	in(t, lab.A, func() (err error) {
		c, err = ofWsknet.listenUDP("udp4", nil)
		return err
	})
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	never := func(uintptr) bool {
		t.Error("the function was called")
		return true
	}
	for _, err := range []error{
		raw.Read(never), raw.Write(never), set(t, c, [3]int{unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, lab.A.If.Index()}),
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	}
	pc := ipv4.NewPacketConn(c)
	if _, err := pc.ReadBatch([]ipv4.Message{{Buffers: [][]byte{make([]byte, 10)}}}, 0); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("ReadBatch of x/net: %v", err)
	}
	c.Close()
	if err := raw.Control(func(uintptr) { t.Error("the function was called") }); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := c.(syscall.Conn).SyscallConn(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestXNetOptions: the options of ipv4.PacketConn and ipv6.PacketConn work, and the batches of the connection take their
// messages.
func TestXNetOptions(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	var a, b conn
	in(t, lab.A, func() (err error) {
		a, err = ofWsknet.listenUDP("udp", nil)
		return err
	})
	defer a.Close()
	in(t, lab.B, func() (err error) {
		b, err = ofWsknet.listenUDP("udp", nil)
		return err
	})
	defer b.Close()
	p6, q4 := ipv6.NewPacketConn(a), ipv4.NewPacketConn(b)
	if err := errors.Join(p6.SetTrafficClass(0xb8), p6.SetHopLimit(9)); err != nil {
		t.Fatal(err)
	}
	if tc, err := p6.TrafficClass(); tc != 0xb8 || err != nil {
		t.Errorf("traffic class %#x, %v", tc, err)
	}
	if err := ipv6.NewPacketConn(b).SetControlMessage(ipv6.FlagTrafficClass|ipv6.FlagHopLimit|ipv6.FlagDst, true); err != nil {
		t.Fatal(err)
	}
	if err := q4.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true); err != nil {
		t.Fatal(err)
	}
	type batches interface {
		ReadBatch(ms []ipv4.Message, flags int) (int, error)
		WriteBatch(ms []ipv4.Message, flags int) (int, error)
	}
	to := net.UDPAddrFromAddrPort(at(lab.B.IPv6(), b))
	out := []netconn.Message{{Buffers: [][]byte{[]byte("one")}, Addr: to}, {Buffers: [][]byte{[]byte("two")}, Addr: to}}
	if n, err := a.(batches).WriteBatch(out, 0); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	b.SetReadDeadline(time.Now().Add(waitLimit))
	for got := 0; got < 2; {
		in := []ipv4.Message{{Buffers: [][]byte{make([]byte, 10)}, OOB: make([]byte, 200)}, {Buffers: [][]byte{make([]byte, 10)}, OOB: make([]byte, 200)}}
		n, err := b.(batches).ReadBatch(in, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range in[:n] {
			var cm ipv6.ControlMessage
			if err := cm.Parse(m.OOB[:m.NN]); err != nil || cm.TrafficClass != 0xb8 || cm.HopLimit != 9 || !cm.Dst.Equal(lab.B.IPv6().AsSlice()) {
				t.Errorf("%v, %v", &cm, err)
			}
		}
		got += n
	}
}
