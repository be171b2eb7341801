// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// checkDatagram compares a datagram with what was sent.
func checkDatagram(t *testing.T, d *wsk.Datagram, payload []byte, from netip.AddrPort, to netip.Addr, tos, ttl uint8) {
	t.Helper()
	source := netip.AddrPortFrom(netip.AddrFrom16(d.Source.Addr).Unmap(), d.Source.Port)
	if !bytes.Equal(d.Payload, payload) || source != from || netip.AddrFrom16(d.Destination).Unmap() != to || d.TOS != tos ||
		d.TTL != ttl || d.Err != nil || d.Segment != 0 {
		t.Errorf("got %s; want %d bytes from %v to %v, TTL %d TOS %#x", describe(d), len(payload), from, to, ttl, tos)
	}
}

// TestCompanionReceive: without any program every datagram comes through the kernel, with the same facts: both
// families, both on a dual-stack socket, every size up to the protocol's limit, loopback, broadcast.
//
// Checklist items 59, 60.
func TestCompanionReceive(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	for _, tc := range []struct {
		bind, from, to string
		dual           bool
		max            int
		cast           wsk.Cast
	}{
		{"10.77.0.1:7500", "10.77.0.2:7600", "10.77.0.1", false, 65507, wsk.Unicast},
		{"0.0.0.0:7501", "10.77.0.2:7601", "10.77.0.1", false, 65507, wsk.Unicast},
		{"[fd77::1]:7502", "[fd77::2]:7602", "fd77::1", false, 65527, wsk.Unicast},
		{"[::]:7503", "[fd77::2]:7603", "fd77::1", true, 65527, wsk.Unicast},
		{"[::]:7504", "10.77.0.2:7604", "10.77.0.1", true, 65507, wsk.Unicast},
		{"0.0.0.0:7505", "10.77.0.2:7605", "10.77.0.255", false, 1472, wsk.Broadcast},
		{"[::]:7506", "10.77.0.2:7606", "255.255.255.255", true, 1472, wsk.Broadcast},
	} {
		t.Run(tc.bind+" from "+tc.from, func(t *testing.T) {
			p, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort(tc.bind), DualStack: tc.dual})
			mustSucceed(t, "bind", status)
			from, to := netip.MustParseAddrPort(tc.from), netip.MustParseAddr(tc.to)
			sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: from, TOS: 0x2a, TTL: 77,
				Fragmentation: testenv.FragmentAllow})
			if tc.to == "255.255.255.255" {
				if err := lab.B.If.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), lab.A.IPv4()); err != nil {
					t.Fatal(err)
				}
			}
			for _, n := range []int{0, 1, 1400, 2047, 2048, 2049, 9216, 9217, 40000, tc.max} {
				if n > tc.max {
					continue
				}
				if err := sender.Send(netip.AddrPortFrom(to, p.addr().Port()), pattern(n)); err != nil {
					t.Fatal(err)
				}
				d := p.wait(1)[0]
				checkDatagram(t, &d, pattern(n), from, to, 0x2a, 77)
				if d.Cast != tc.cast || int(d.IfIndex) != lab.A.If.Index() {
					t.Errorf("got %s; want cast %d on %d", describe(&d), tc.cast, lab.A.If.Index())
				}
			}
		})
	}
}

// TestCompanionLoopback: what the host sends itself comes back, at both loopback addresses and its own ones.
func TestCompanionLoopback(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	for _, to := range []string{"127.0.0.1:7510", "10.77.0.1:7511", "[::1]:7512", "[fd77::1]:7513"} {
		p := bind(t, h, to)
		source := netip.MustParseAddrPort("0.0.0.0:0")
		if p.addr().Addr().Is6() {
			source = netip.MustParseAddrPort("[::]:0")
		}
		sender := testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{Source: source})
		if err := sender.Send(p.addr(), []byte("self")); err != nil {
			t.Fatal(err)
		}
		if d := p.wait(1)[0]; string(d.Payload) != "self" || netip.AddrFrom16(d.Source.Addr).Unmap() != p.addr().Addr() {
			t.Errorf("%s", describe(&d))
		}
	}
}

// TestCoalesced: a socket that asked gets segments of a flow in one piece, not larger than it asked for; one that did
// not, or no longer does, gets them one by one.
//
// Checklist item 66.
func TestCoalesced(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{Offloads: true})
	p := bind(t, h, "127.0.0.1:7530")
	fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000); err != nil {
		t.Fatal(err)
	}
	payload := pattern(9500)
	whole := loopbackCoalesces(t, lab)
	for _, tc := range []struct {
		most   uint32
		pieces []int // sizes of the payloads
	}{
		{0, []int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 500}},
		{65535, []int{9500}},
		{4999, []int{4000, 4000, 1500}},
		{999, []int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 500}},
	} {
		if !whole {
			tc.pieces = []int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 500}
		}
		p.Configure(wsk.ReceiveOptions{MaxCoalesced: tc.most})
		if err := unix.Sendto(fd, payload, 0, &unix.SockaddrInet4{Port: 7530, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for i, d := range p.wait(len(tc.pieces)) {
			want := uint16(0)
			if tc.pieces[i] > 1000 {
				want = 1000
			}
			if len(d.Payload) != tc.pieces[i] || d.Segment != want {
				t.Errorf("at most %d: piece %d: %s", tc.most, i, describe(&d))
			}
			all = append(all, d.Payload...)
		}
		if !bytes.Equal(all, payload) {
			t.Errorf("at most %d: the payload is not whole", tc.most)
		}
	}
}

// loopbackCoalesces reports whether segments cross the loopback of this kernel in one piece, to a socket of the kernel
// that asked for it. Linux 5.10 cuts them before.
func loopbackCoalesces(t *testing.T, lab *testenv.Lab) bool {
	t.Helper()
	var fds [2]int
	for i := range fds {
		fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		fds[i] = fd
	}
	to := &unix.SockaddrInet4{Port: 7529, Addr: [4]byte{127, 0, 0, 1}}
	buf := make([]byte, 4096)
	if err := errors.Join(
		unix.Bind(fds[1], to),
		unix.SetsockoptInt(fds[1], unix.IPPROTO_UDP, unix.UDP_GRO, 1),
		unix.SetsockoptInt(fds[0], unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000),
		unix.Sendto(fds[0], make([]byte, 3000), 0, to),
	); err != nil {
		t.Fatal(err)
	}
	n, _, err := unix.Recvfrom(fds[1], buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n == 3000
}

// TestReceiveBufferBound: what the socket above does not take waits in the kernel, up to the buffer asked for.
func TestReceiveBufferBound(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	p := bind(t, h, "10.77.0.1:7540")
	p.Configure(wsk.ReceiveOptions{BufferBytes: 16 << 10})
	stuck, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.mu.Lock()
	p.hook = func(*wsk.Datagram) {
		once.Do(func() {
			close(stuck)
			<-proceed
		})
	}
	p.mu.Unlock()
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	send := func(n int) {
		for range n {
			if err := sender.Send(p.addr(), pattern(1000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(1)
	<-stuck
	send(1000)
	close(proceed)
	marker := bind(t, h, "10.77.0.1:7541")
	if err := sender.Send(marker.addr(), nil); err != nil {
		t.Fatal(err)
	}
	marker.wait(1)
	eventually(t, "what was buffered", func() bool { return p.count() > 1 })
	if n := p.count(); n > 100 {
		t.Errorf("%d datagrams of 1000 bytes waited in a buffer of 16 KiB", n)
	}
}
