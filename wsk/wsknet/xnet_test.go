// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// packet4 is what an ipv4.PacketConn offers for UDP.
type packet4 interface {
	ReadFrom(b []byte) (int, *ipv4.ControlMessage, net.Addr, error)
	WriteTo(b []byte, cm *ipv4.ControlMessage, dst net.Addr) (int, error)
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
	SetControlMessage(cf ipv4.ControlFlags, on bool) error
	TOS() (int, error)
	SetTOS(int) error
	TTL() (int, error)
	SetTTL(int) error
	MulticastTTL() (int, error)
	SetMulticastTTL(int) error
	MulticastLoopback() (bool, error)
	SetMulticastLoopback(bool) error
	MulticastInterface() (*net.Interface, error)
	SetMulticastInterface(*net.Interface) error
	ICMPFilter() (*ipv4.ICMPFilter, error)
	SetICMPFilter(*ipv4.ICMPFilter) error
	SetBPF([]bpf.RawInstruction) error
	ending
	membership
}

// ending and membership are what both versions of IP have.
type ending interface {
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Close() error
}

type membership interface {
	JoinGroup(ifi *net.Interface, group net.Addr) error
	LeaveGroup(ifi *net.Interface, group net.Addr) error
	JoinSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error
	LeaveSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error
	ExcludeSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error
	IncludeSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error
}

var (
	_ packet4 = (*ipv4.PacketConn)(nil)
	_ packet4 = (*netconn.PacketConn4)(nil)
)

// trio is a connection under test, in the forms that it has, and a socket of the kernel on the other host.
type trio struct {
	t        *testing.T
	c, b     conn
	four     packet4
	six      packet6
	ifi      *net.Interface // of the connection's host
	lab      *testenv.Lab
	at, near netip.AddrPort // of b, and of c
}

// said is a result with the errno in it.
func said(v any, err error) string { return fmt.Sprint(v, " ", errnoOf(err)) }

// errnos are those of several calls.
func errnos(errs ...error) string {
	var list []string
	for _, err := range errs {
		list = append(list, errnoOf(err))
	}
	return strings.Join(list, ", ")
}

// compareX runs rows with the sockets of package net and golang.org/x/net, and with those of this package and netconn's
// counterparts.
func compareX(t *testing.T, lab *testenv.Lab, network string, near, far netip.Addr, rows []xrow) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var results []string
			for _, f := range []functions{ofNet, ofWsknet} {
				x := trio{t: t, lab: lab, ifi: &net.Interface{Index: lab.A.If.Index(), Name: lab.A.If.Name()}}
				in(t, lab.B, func() (err error) {
					x.b, err = ofNet.listenUDP(network, nil)
					return err
				})
				defer x.b.Close()
				x.b.SetReadDeadline(time.Now().Add(waitLimit))
				in(t, lab.A, func() (err error) {
					if x.c, err = f.listenUDP(network, nil); err != nil {
						return err
					}
					defer x.c.Close()
					x.c.SetReadDeadline(time.Now().Add(waitLimit))
					x.at, x.near = at(far, x.b), at(near, x.c)
					x.wrap()
					port := fmt.Sprint(":", x.near.Port())
					results = append(results, strings.ReplaceAll(row.do(&x), port, ":PORT"))
					return nil
				})
			}
			want := results[0]
			if row.instead != "" {
				want = row.instead
			}
			if results[1] != want {
				t.Errorf("%s\n   the kernel: %s", results[1], results[0])
			}
		})
	}
}

// xrow is something that a program does with a PacketConn of golang.org/x/net.
type xrow struct {
	name    string
	do      func(x *trio) string
	instead string // what this package says where it differs; docs/netconn.md has the list
}

// kernelForms are those of golang.org/x/net.
func kernelForms(c conn) (packet4, packet6) {
	return ipv4.NewPacketConn(c), ipv6.NewPacketConn(c)
}

// errDeadline is what a deadline ends with.
var errDeadline = os.ErrDeadlineExceeded

func (x *trio) wrap() {
	if c, ok := x.c.(*wsknet.UDPConn); ok {
		x.four, x.six = netconn.NewPacketConn4(c), netconn.NewPacketConn6(c)
		return
	}
	x.four, x.six = kernelForms(x.c)
}

// seen has the other host read a datagram, with what its control messages say of it.
func (x *trio) seen() string { return fmt.Sprint(controlOf(x.t, x.b)) }

// asks has the other host ask for control messages.
func (x *trio) asks(options [][3]int) {
	x.t.Helper()
	if err := set(x.t, x.b, options...); err != nil {
		x.t.Fatal(err)
	}
}

// send has the other host send to an address.
func (x *trio) send(what string, to netip.AddrPort) {
	x.t.Helper()
	if _, err := x.b.WriteToUDPAddrPort([]byte(what), to); err != nil {
		x.t.Fatal(err)
	}
}

func (x *trio) udp(a netip.AddrPort) *net.UDPAddr { return net.UDPAddrFromAddrPort(a) }

// read4 reads by the IPv4 form.
func (x *trio) read4() string {
	buf := make([]byte, 100)
	n, cm, src, err := x.four.ReadFrom(buf)
	if err != nil {
		return errnoOf(err)
	}
	return fmt.Sprintf("%q %v, from b: %v", buf[:n], cm, src.String() == x.udp(x.at).String())
}

// plain4 reads a datagram of the other host.
func (x *trio) plain4() string {
	x.send("plain", x.near)
	return x.read4()
}

// next is what c reads next, after a marker has been sent to it behind what may come.
func (x *trio) next() string {
	x.t.Helper()
	x.send("marker", x.near)
	buf := make([]byte, 100)
	n, _, err := x.c.ReadFrom(buf)
	return said(string(buf[:n]), err)
}

// endings ends reads and writes by deadlines, and by closing.
func (x *trio) endings(e ending, read, write func() error) string {
	past, never := time.Unix(1, 0), time.Time{}
	is := func(err error) string {
		return fmt.Sprint(errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, errDeadline), errors.Is(err, net.ErrClosed), "; ")
	}
	out := errnos(e.SetReadDeadline(past)) + is(read()) + errnos(write())
	out += errnos(e.SetReadDeadline(never), e.SetWriteDeadline(past)) + is(write())
	out += errnos(e.SetDeadline(past)) + is(write()) + is(read())
	return out + errnos(e.SetDeadline(never), write(), e.Close()) + is(read()) + is(write()) + is(e.Close())
}

// batches has both hosts send batches.
func (x *trio) batches(p interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}, oob []byte,
) string {
	out := make([]ipv4.Message, 20)
	for i := range out {
		out[i] = ipv4.Message{Buffers: [][]byte{{byte(i)}, []byte("and more")}, Addr: x.udp(x.at)}
		if i%2 == 0 {
			out[i].OOB = oob
		}
	}
	n, err := p.WriteBatch(out, 0)
	result := said(n, err)
	for _, m := range out {
		result += fmt.Sprint(" ", m.N, m.NN)
	}
	buf := make([]byte, 100)
	var arrived []string // those with a source are of another flow than those without
	for range n {
		size, from, err := x.b.ReadFromUDPAddrPort(buf)
		arrived = append(arrived, fmt.Sprintf("; %x, %v, %v", buf[:size], from.Addr(), err))
	}
	slices.Sort(arrived)
	result += strings.Join(arrived, "")
	for i := range out {
		x.send(strings.Repeat("x", i), x.near)
	}
	for got := 0; got < len(out); {
		in := make([]ipv4.Message, 8)
		for i := range in {
			in[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 5), make([]byte, 5)}, OOB: make([]byte, 200)}
		}
		n, err := p.ReadBatch(in, 0)
		if err != nil || n < 1 {
			return said(n, err)
		}
		for _, m := range in[:n] {
			result += fmt.Sprintf("; %d %q %q %x %#x %v", m.N, m.Buffers[0], m.Buffers[1], m.OOB[:m.NN], m.Flags, m.Addr.String() == x.udp(x.at).String())
		}
		got += n
	}
	_, err = p.WriteBatch([]ipv4.Message{{Buffers: [][]byte{{1}}, Addr: &net.UDPAddr{IP: x.at.Addr().AsSlice()}}}, 0)
	return result + "; port 0: " + errnoOf(err)
}

// heard says whether c hears what the other host sends to a group.
func (x *trio) heard(group netip.Addr) string {
	x.t.Helper()
	x.send("group", netip.AddrPortFrom(group, x.near.Port()))
	x.send("marker", x.near)
	buf := make([]byte, 100)
	n, _, err := x.c.ReadFrom(buf)
	if err != nil {
		x.t.Fatal(err)
	}
	if string(buf[:n]) == "group" {
		if n, _, err := x.c.ReadFrom(buf); err != nil || string(buf[:n]) != "marker" {
			x.t.Fatalf("%q, %v", buf[:n], err)
		}
		return "heard"
	}
	return "not heard"
}

// memberships joins and leaves in every way that there is.
func (x *trio) memberships(m membership, group, source, other netip.Addr) string {
	ip := func(a netip.Addr) net.Addr { return &net.UDPAddr{IP: a.AsSlice()} }
	g, s, o := ip(group), ip(source), ip(other)
	var list []string
	step := func(what string, err error) { list = append(list, what+": "+errnoOf(err)+", "+x.heard(group)) }
	list = append(list, x.heard(group))
	step("join", m.JoinGroup(x.ifi, g))
	step("join again", m.JoinGroup(x.ifi, g))
	step("exclude", m.ExcludeSourceSpecificGroup(x.ifi, g, s))
	step("include", m.IncludeSourceSpecificGroup(x.ifi, g, s))
	step("leave", m.LeaveGroup(x.ifi, g))
	step("leave again", m.LeaveGroup(x.ifi, g))
	step("join a source", m.JoinSourceSpecificGroup(x.ifi, g, o))
	step("and another", m.JoinSourceSpecificGroup(x.ifi, g, s))
	step("leave a source", m.LeaveSourceSpecificGroup(x.ifi, g, s))
	step("leave the other", m.LeaveSourceSpecificGroup(x.ifi, g, o))
	step("no such interface", m.JoinGroup(&net.Interface{Index: 4711}, g))
	step("no group", m.JoinGroup(x.ifi, s))
	step("join at last", m.JoinGroup(x.ifi, g))
	return strings.Join(list, "\n")
}

// sendsTo has the other host send to groups by its interface, and hear none of it.
func (x *trio) sendsTo() {
	x.t.Helper()
	index := &net.Interface{Index: x.lab.B.If.Index()}
	four, six := kernelForms(x.b)
	err := errors.Join(four.SetMulticastInterface(index), four.SetMulticastLoopback(false))
	if x.near.Addr().Is6() {
		err = errors.Join(six.SetMulticastInterface(index), six.SetMulticastLoopback(false))
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

// TestXNet4: everything that golang.org/x/net/ipv4 offers over a UDP socket works over a connection.
func TestXNet4(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	near, far := lab.A.IPv4(), lab.B.IPv4()
	group := netip.MustParseAddr("239.1.2.3")
	foreign := netip.MustParseAddr("198.51.100.7")
	write := func(cm *ipv4.ControlMessage, to func(x *trio) net.Addr) func(x *trio) string {
		return func(x *trio) string {
			x.asks(asks4[2:])
			n, err := x.four.WriteTo([]byte("hello"), cm, to(x))
			if err != nil {
				return said(n, err)
			}
			return said(n, err) + x.seen()
		}
	}
	toB := func(x *trio) net.Addr { return x.udp(x.at) }
	compareX(t, lab, "udp4", near, far, []xrow{
		{name: "SetTOS, SetTTL", do: func(x *trio) string {
			x.asks(asks4)
			out := errnos(x.four.SetTOS(0xb8), x.four.SetTTL(9))
			out += said(x.four.TOS()) + said(x.four.TTL())
			x.four.WriteTo([]byte("x"), nil, toB(x))
			return out + x.seen()
		}},
		{name: "SetTOS, SetTTL out of range", do: func(x *trio) string {
			return errnos(x.four.SetTOS(256), x.four.SetTOS(-1), x.four.SetTTL(256), x.four.SetTTL(0), x.four.SetTTL(-2))
		}},
		{name: "SetMulticastTTL", do: func(x *trio) string {
			x.asks(asks4)
			four, _ := kernelForms(x.b)
			if err := four.JoinGroup(&net.Interface{Index: lab.B.If.Index()}, &net.UDPAddr{IP: group.AsSlice()}); err != nil {
				x.t.Fatal(err)
			}
			out := said(x.four.MulticastTTL()) + errnos(x.four.SetMulticastTTL(7), x.four.SetMulticastInterface(x.ifi)) + said(x.four.MulticastTTL())
			out += said(x.four.WriteTo([]byte("x"), nil, x.udp(netip.AddrPortFrom(group, x.at.Port()))))
			return out + x.seen()
		}},
		{name: "SetMulticastTTL out of range", do: func(x *trio) string {
			return errnos(x.four.SetMulticastTTL(256), x.four.SetMulticastTTL(-2))
		}},
		{name: "SetMulticastLoopback", do: func(x *trio) string {
			out := said(x.four.MulticastLoopback()) + errnos(x.four.SetMulticastLoopback(false)) + said(x.four.MulticastLoopback())
			return out + errnos(x.four.SetMulticastInterface(x.ifi), x.four.JoinGroup(x.ifi, &net.UDPAddr{IP: group.AsSlice()})) +
				said(x.four.WriteTo([]byte("own"), nil, x.udp(netip.AddrPortFrom(group, x.near.Port())))) + x.next()
		}},
		{name: "a multicast comes back", do: func(x *trio) string {
			return errnos(x.four.SetMulticastInterface(x.ifi), x.four.JoinGroup(x.ifi, &net.UDPAddr{IP: group.AsSlice()})) +
				said(x.four.WriteTo([]byte("own"), nil, x.udp(netip.AddrPortFrom(group, x.near.Port())))) + x.next()
		}},
		{name: "SetMulticastInterface of nowhere", do: func(x *trio) string {
			return errnos(x.four.SetMulticastInterface(nil))
		}},
		{name: "SetControlMessage", do: func(x *trio) string {
			out := x.plain4()
			for _, cf := range []ipv4.ControlFlags{ipv4.FlagTTL, ipv4.FlagDst, ipv4.FlagInterface | ipv4.FlagSrc} {
				out += "\n" + errnos(x.four.SetControlMessage(cf, true)) + x.plain4()
			}
			return out + "\n" + errnos(x.four.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst|ipv4.FlagInterface|ipv4.FlagSrc, false)) + x.plain4()
		}},
		{name: "WriteTo", do: write(nil, toB)},
		{name: "WriteTo with a source", do: write(&ipv4.ControlMessage{Src: near.AsSlice()}, toB)},
		{name: "WriteTo with an interface", do: write(&ipv4.ControlMessage{IfIndex: lab.A.If.Index()}, toB)},
		{name: "WriteTo with a foreign source", do: write(&ipv4.ControlMessage{Src: foreign.AsSlice()}, toB)},
		{name: "WriteTo with no such interface", do: write(&ipv4.ControlMessage{IfIndex: 4711}, toB)},
		{name: "WriteTo nowhere", do: write(nil, func(*trio) net.Addr { return nil })},
		{name: "WriteTo a peer of IPv6", do: write(nil, func(*trio) net.Addr { return &net.UDPAddr{IP: lab.B.IPv6().AsSlice(), Port: 9} }),
			instead: "0 write udp4 0.0.0.0:PORT->[fd77::2]:9: address fd77::2: non-IPv4 address (*net.OpError)"},
		{name: "batches", do: func(x *trio) string {
			if err := x.four.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true); err != nil {
				x.t.Fatal(err)
			}
			return x.batches(x.four, (&ipv4.ControlMessage{Src: near.AsSlice()}).Marshal())
		}},
		{name: "memberships", do: func(x *trio) string {
			x.sendsTo()
			return x.memberships(x.four, group, far, foreign)
		}},
		{name: "memberships by x/net's own", do: func(x *trio) string {
			x.sendsTo()
			return x.memberships(ipv4.NewPacketConn(x.c), group, far, foreign)
		}},
		{name: "ICMPFilter", do: func(x *trio) string {
			f, err := x.four.ICMPFilter()
			return said(f == nil, err) + errnos(x.four.SetICMPFilter(new(ipv4.ICMPFilter)))
		}},
		{name: "SetBPF", do: func(x *trio) string { return errnos(x.four.SetBPF(all), ipv4.NewPacketConn(x.c).SetBPF(all)) },
			instead: "set udp 0.0.0.0:PORT: no socket filter of the kernel sees the connection's datagrams, filter what is read: unsupported operation (*net.OpError), operation not permitted"},
		{name: "deadlines and Close", do: func(x *trio) string {
			return x.endings(x.four, func() error { _, _, _, err := x.four.ReadFrom(make([]byte, 1)); return err },
				func() error { _, err := x.four.WriteTo([]byte("x"), nil, toB(x)); return err })
		}},
	})
}

// all is a filter that lets everything through.
var all = []bpf.RawInstruction{{Op: syscall.BPF_RET | syscall.BPF_K, K: 1 << 16}}

// packet6 is what an ipv6.PacketConn offers for UDP.
type packet6 interface {
	ReadFrom(b []byte) (int, *ipv6.ControlMessage, net.Addr, error)
	WriteTo(b []byte, cm *ipv6.ControlMessage, dst net.Addr) (int, error)
	ReadBatch(ms []ipv6.Message, flags int) (int, error)
	WriteBatch(ms []ipv6.Message, flags int) (int, error)
	SetControlMessage(cf ipv6.ControlFlags, on bool) error
	TrafficClass() (int, error)
	SetTrafficClass(int) error
	HopLimit() (int, error)
	SetHopLimit(int) error
	MulticastHopLimit() (int, error)
	SetMulticastHopLimit(int) error
	MulticastLoopback() (bool, error)
	SetMulticastLoopback(bool) error
	MulticastInterface() (*net.Interface, error)
	SetMulticastInterface(*net.Interface) error
	Checksum() (bool, int, error)
	SetChecksum(bool, int) error
	ICMPFilter() (*ipv6.ICMPFilter, error)
	SetICMPFilter(*ipv6.ICMPFilter) error
	SetBPF([]bpf.RawInstruction) error
	ending
	membership
}

var (
	_ packet6 = (*ipv6.PacketConn)(nil)
	_ packet6 = (*netconn.PacketConn6)(nil)
)

// read6 reads by the IPv6 form.
func (x *trio) read6() string {
	buf := make([]byte, 100)
	n, cm, src, err := x.six.ReadFrom(buf)
	if err != nil {
		return errnoOf(err)
	}
	return fmt.Sprintf("%q %v, from b: %v", buf[:n], cm, src.String() == x.udp(x.at).String())
}

func (x *trio) plain6() string {
	x.send("plain", x.near)
	return x.read6()
}

// TestXNet6: everything that golang.org/x/net/ipv6 offers over a UDP socket works over a connection.
func TestXNet6(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	near, far := lab.A.IPv6(), lab.B.IPv6()
	group := netip.MustParseAddr("ff15::1:2:3")
	foreign := netip.MustParseAddr("2001:db8:7::7")
	write := func(cm *ipv6.ControlMessage, to func(x *trio) net.Addr) func(x *trio) string {
		return func(x *trio) string {
			x.asks(asks6)
			if err := x.six.SetHopLimit(64); err != nil { // which a socket of the kernel has anyway
				x.t.Fatal(err)
			}
			n, err := x.six.WriteTo([]byte("hello"), cm, to(x))
			if err != nil {
				return said(n, err)
			}
			return said(n, err) + x.seen()
		}
	}
	toB := func(x *trio) net.Addr { return x.udp(x.at) }
	compareX(t, lab, "udp6", near, far, []xrow{
		{name: "SetTrafficClass, SetHopLimit", do: func(x *trio) string {
			x.asks(asks6)
			out := errnos(x.six.SetTrafficClass(0xb8), x.six.SetHopLimit(9))
			out += said(x.six.TrafficClass()) + said(x.six.HopLimit())
			x.six.WriteTo([]byte("x"), nil, toB(x))
			return out + x.seen()
		}},
		{name: "out of range", do: func(x *trio) string {
			return errnos(x.six.SetTrafficClass(256), x.six.SetTrafficClass(-2), x.six.SetHopLimit(256), x.six.SetHopLimit(-2),
				x.six.SetMulticastHopLimit(256), x.six.SetMulticastHopLimit(-2))
		}},
		{name: "SetMulticastHopLimit", do: func(x *trio) string {
			x.asks(asks6)
			_, six := kernelForms(x.b)
			if err := six.JoinGroup(&net.Interface{Index: lab.B.If.Index()}, &net.UDPAddr{IP: group.AsSlice()}); err != nil {
				x.t.Fatal(err)
			}
			out := said(x.six.MulticastHopLimit()) + errnos(x.six.SetMulticastHopLimit(7), x.six.SetMulticastInterface(x.ifi)) + said(x.six.MulticastHopLimit())
			out += said(x.six.WriteTo([]byte("x"), nil, x.udp(netip.AddrPortFrom(group, x.at.Port()))))
			return out + x.seen()
		}},
		{name: "SetMulticastInterface", do: func(x *trio) string {
			none, err := x.six.MulticastInterface()
			out := said(none == nil, err) + errnos(x.six.SetMulticastInterface(x.ifi))
			ifi, err := x.six.MulticastInterface()
			out += said(err == nil && ifi.Index == x.ifi.Index, err)
			return out + errnos(x.six.SetMulticastInterface(nil), x.six.SetMulticastInterface(&net.Interface{Index: 4711}))
		}},
		{name: "SetMulticastLoopback", do: func(x *trio) string {
			out := said(x.six.MulticastLoopback()) + errnos(x.six.SetMulticastLoopback(false)) + said(x.six.MulticastLoopback())
			return out + errnos(x.six.SetMulticastInterface(x.ifi), x.six.JoinGroup(x.ifi, &net.UDPAddr{IP: group.AsSlice()})) +
				said(x.six.WriteTo([]byte("own"), nil, x.udp(netip.AddrPortFrom(group, x.near.Port())))) + x.next()
		}},
		{name: "a multicast comes back", do: func(x *trio) string {
			return errnos(x.six.SetMulticastInterface(x.ifi), x.six.JoinGroup(x.ifi, &net.UDPAddr{IP: group.AsSlice()})) +
				said(x.six.WriteTo([]byte("own"), nil, x.udp(netip.AddrPortFrom(group, x.near.Port())))) + x.next()
		}},
		{name: "SetControlMessage", do: func(x *trio) string {
			out := x.plain6()
			for _, cf := range []ipv6.ControlFlags{ipv6.FlagTrafficClass, ipv6.FlagHopLimit, ipv6.FlagDst, ipv6.FlagInterface | ipv6.FlagSrc} {
				out += "\n" + errnos(x.six.SetControlMessage(cf, true)) + x.plain6()
			}
			return out + "\n" + errnos(x.six.SetControlMessage(ipv6.FlagTrafficClass|ipv6.FlagHopLimit|ipv6.FlagDst|ipv6.FlagInterface|ipv6.FlagSrc, false)) + x.plain6()
		}},
		{name: "WriteTo", do: write(nil, toB)},
		{name: "WriteTo with all", do: write(&ipv6.ControlMessage{Src: near.AsSlice(), TrafficClass: 0x2a, HopLimit: 3}, toB)},
		{name: "WriteTo with an interface", do: write(&ipv6.ControlMessage{IfIndex: lab.A.If.Index()}, toB)},
		{name: "WriteTo with a foreign source", do: write(&ipv6.ControlMessage{Src: foreign.AsSlice()}, toB)},
		{name: "WriteTo with no such interface", do: write(&ipv6.ControlMessage{IfIndex: 4711}, toB)},
		{name: "WriteTo nowhere", do: write(nil, func(*trio) net.Addr { return nil })},
		{name: "batches", do: func(x *trio) string {
			if err := x.six.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true); err != nil {
				x.t.Fatal(err)
			}
			return x.batches(x.six, (&ipv6.ControlMessage{Src: near.AsSlice()}).Marshal())
		}},
		{name: "memberships", do: func(x *trio) string {
			x.sendsTo()
			return x.memberships(x.six, group, far, foreign)
		}},
		{name: "memberships by x/net's own", do: func(x *trio) string {
			x.sendsTo()
			return x.memberships(ipv6.NewPacketConn(x.c), group, far, foreign)
		}},
		{name: "Checksum, ICMPFilter", do: func(x *trio) string {
			_, _, err := x.six.Checksum()
			_, err2 := x.six.ICMPFilter()
			return errnos(err, x.six.SetChecksum(true, 0), err2, x.six.SetICMPFilter(new(ipv6.ICMPFilter)))
		}},
		{name: "SetBPF", do: func(x *trio) string { return errnos(x.six.SetBPF(all), ipv6.NewPacketConn(x.c).SetBPF(all)) },
			instead: "set udp [::]:PORT: no socket filter of the kernel sees the connection's datagrams, filter what is read: unsupported operation (*net.OpError), operation not permitted"},
		{name: "deadlines and Close", do: func(x *trio) string {
			return x.endings(x.six, func() error { _, _, _, err := x.six.ReadFrom(make([]byte, 1)); return err },
				func() error { _, err := x.six.WriteTo([]byte("x"), nil, toB(x)); return err })
		}},
	})
}
