// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestHostTrafficUndisturbed: with the program attached and sockets on all addresses, everything that is not theirs reaches the
// kernel as before: neighbour resolution of both families from nothing, echo requests, TCP, other UDP ports, multicast of others.
func TestHostTrafficUndisturbed(t *testing.T) {
	for _, mode := range []bpf.Mode{bpf.Native, bpf.Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			lab, dp := receiveLab(t, testenv.Topology{}, Options{ReceiveMode: mode, ReceiveTagsUnseen: mode == bpf.Generic})
			if got := dp.Info().Programs[0].Mode; got != mode {
				t.Fatalf("the program runs in %v mode", got)
			}
			four, six := bind(t, dp, "0.0.0.0:7950"), bind(t, dp, "[::]:7950")
			own4 := testenv.NewUDPReceiverT(t, lab.A.NS, netip.MustParseAddrPort("0.0.0.0:7951"), testenv.UDPReceiverOptions{
				Groups: []netip.Addr{netip.MustParseAddr("239.8.8.8")}, Interface: lab.A.If.Index()})
			own6 := testenv.NewUDPReceiverT(t, lab.A.NS, netip.MustParseAddrPort("[::]:7951"), testenv.UDPReceiverOptions{})
			stop := make(chan struct{})
			noise := make(chan struct{})
			busy := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
			go func() { // ours all the while, but never so many that the kernel's backlog loses somebody's
				defer close(noise)
				for sent := 0; ; {
					select {
					case <-stop:
						return
					default:
					}
					if sent-four.count() > 200 {
						runtime.Gosched()
						continue
					}
					_ = busy.Send(netip.MustParseAddrPort("10.77.0.1:7950"), []byte("ours"))
					sent++
				}
			}()
			defer func() { close(stop); <-noise }()

			for _, ip := range []netip.Addr{lab.A.IPv4(), lab.A.IPv6()} {
				_ = lab.B.If.DeleteNeighbour(ip) // who has it? B must ask A's kernel again
			}
			s4 := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Interface: lab.B.If.Index()})
			s6 := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort("[::]:0")})
			for _, to := range []string{"10.77.0.1:7951", "239.8.8.8:7951", "10.77.0.255:7951"} {
				if err := s4.Send(netip.MustParseAddrPort(to), []byte(to)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s6.Send(netip.MustParseAddrPort("[fd77::1]:7951"), []byte("six")); err != nil {
				t.Fatal(err)
			}
			if _, err := own4.Wait(testenv.Context(t, waitLimit), 3); err != nil {
				t.Error(err)
			}
			if _, err := own6.Wait(testenv.Context(t, waitLimit), 1); err != nil {
				t.Error(err)
			}
			ping(t, lab)
			talkTCP(t, lab)
			eventually(t, "ours", func() bool { return four.count() > 100 })
			if six.count() != 0 {
				t.Error("a datagram for somebody else")
			}
			if r := received(t, dp); r.Unowned+r.OtherHost+r.NotJoined+r.Refused+r.Foreign != 0 {
				t.Errorf("the program took what is not ours: %+v", r)
			}
			c := programCounters(dp)
			if c[bpf.ReasonNotIP] == 0 || c[bpf.ReasonNotUDP] == 0 || c[bpf.ReasonNoPort] < 3 {
				t.Errorf("the program did not see the host's traffic: %v", c)
			}
		})
	}
}

// ping sends an echo request from B to A over each family and awaits the replies.
func ping(t *testing.T, lab *testenv.Lab) {
	t.Helper()
	for _, tc := range []struct {
		domain, proto int
		typ, reply    byte
		to            unix.Sockaddr
	}{
		{unix.AF_INET, unix.IPPROTO_ICMP, 8, 0, &unix.SockaddrInet4{Addr: lab.A.IPv4().As4()}},
		{unix.AF_INET6, unix.IPPROTO_ICMPV6, 128, 129, &unix.SockaddrInet6{Addr: lab.A.IPv6().As16()}},
	} {
		fd, err := lab.B.NS.Socket(tc.domain, unix.SOCK_RAW, tc.proto)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		tv := unix.NsecToTimeval(waitLimit.Nanoseconds())
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			t.Fatal(err)
		}
		request := []byte{tc.typ, 0, 0, 0, 0x77, 0x77, 0, 1, 'h', 'i'}
		if tc.domain == unix.AF_INET { // the kernel fills in that of ICMPv6
			var sum uint32
			for i := 0; i < len(request); i += 2 {
				sum += uint32(binary.BigEndian.Uint16(request[i:]))
			}
			binary.BigEndian.PutUint16(request[2:], ^uint16(sum+sum>>16))
		}
		if err := unix.Sendto(fd, request, 0, tc.to); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 256)
		for {
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				t.Fatalf("no reply to an echo request (protocol %d): %v", tc.proto, err)
			}
			b := buf[:n]
			if tc.domain == unix.AF_INET {
				b = b[20:]
			}
			if b[0] == tc.reply {
				break
			}
		}
	}
}

// talkTCP makes a connection from B to A and sends something both ways.
func talkTCP(t *testing.T, lab *testenv.Lab) {
	t.Helper()
	var l net.Listener
	err := lab.A.NS.Do(func() (err error) {
		l, err = net.Listen("tcp", "10.77.0.1:7952")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		s, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(s, s)
			s.Close()
		}
	}()
	fd, err := lab.B.NS.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	tv := unix.NsecToTimeval(waitLimit.Nanoseconds())
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 7952, Addr: lab.A.IPv4().As4()}); err != nil {
		t.Fatalf("TCP connect: %v", err)
	}
	if _, err := unix.Write(fd, []byte("over TCP")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if n, err := unix.Read(fd, buf); err != nil || string(buf[:n]) != "over TCP" {
		t.Errorf("TCP: %q, %v", buf[:n], err)
	}
}

// TestForeignProgram: a program that is there already is never replaced, and Open says whose it is.
//
// I9.
func TestForeignProgram(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{})
	counter := testenv.NewDropCounterT(t, lab.A.If, testenv.DropCounterOptions{Pass: true})
	dp, err := Open(Options{NetNS: lab.A.NS.FD(), Receive: []string{lab.A.If.Name()}})
	if err == nil {
		dp.Close()
	}
	var conflict *bpf.ConflictError
	if !errors.As(err, &conflict) {
		t.Errorf("with a program attached: %v", err)
	}
	if err := counter.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nosuch", "wsk0 "} {
		if _, err := Open(Options{NetNS: lab.A.NS.FD(), Receive: []string{name}}); err == nil {
			t.Errorf("opened %q", name)
		}
	}
	if _, err := Open(Options{NetNS: lab.A.NS.FD(), Receive: []string{"wsk0", "wsk0"}}); err == nil {
		t.Error("opened an interface twice")
	}
	// All of that has left nothing behind.
	dp, err = Open(Options{NetNS: lab.A.NS.FD(), Receive: []string{lab.A.If.Name()}})
	if err != nil {
		t.Fatal(err)
	}
	dp.Close()
}

// TestReflected: the independent AF_XDP peer sends our own frames back to us, through both halves of one socket, over two queues.
func TestReflected(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static, A: testenv.End{TX: 2}, B: testenv.End{TX: 2}}, Options{Queues: 2})
	testenv.NewXDPPeerT(t, lab.B.If, testenv.XDPPeerOptions{Reflect: true, CountOnly: true})
	tap := &tap{Datapath: dp, t: t}
	c := newClientOver(t, dp, tap)
	const window = 128
	n := flooded(t, 6_000)
	for i, tc := range []struct{ local, peer string }{
		{"10.77.0.1:7960", "10.77.0.2:9000"}, {"[fd77::1]:7961", "[fd77::2]:9000"},
		{"10.77.0.1:7962", "10.77.0.2:9000"}, {"[fd77::1]:7963", "[fd77::2]:9000"}, // on the other queue
	} {
		s := c.socket(tc.local)
		got := tap.last()
		eventually(t, "the port in the program", func() bool { return dp.Info().Programs[0].Ports == i+1 })
		to := wsk.NewSockaddr(netip.MustParseAddrPort(tc.peer))
		for sent := 0; sent < n; sent += window {
			for i := range window {
				irp := wsk.AllocateIRP()
				s.SendTo(whole(numbered(sent+i)), 0, to, nil, irp)
			}
			for i, d := range got.wait(window) {
				if binary.BigEndian.Uint32(d.Payload) != uint32(sent+i) || d.Source.Port != 9000 {
					t.Fatalf("%s: number %d, want %d", describe(&d), binary.BigEndian.Uint32(d.Payload), sent+i)
				}
			}
		}
	}
	for _, q := range dp.Info().Queues {
		if q.Receive == nil || q.Receive.Delivered == 0 || q.Foreign != 0 || q.Dropped != 0 {
			t.Errorf("queue %d: %+v, receive %+v", q.Queue, q, q.Receive)
		}
	}
	if info := dp.Info(); info.CompanionReceived != 0 {
		t.Errorf("%d came through the kernel", info.CompanionReceived)
	}
}
