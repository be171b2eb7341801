// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// TestCoalesced: with UDP_GRO set by the descriptor a read of what has come through AF_XDP gets several datagrams of a flow, by the
// rules of the kernel's socket with UDP_GRO in the same namespace, and both get the same datagrams in the same order.
func TestCoalesced(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{GRO: true})
	name := lab.B.If.Name()
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{
		NetNS: lab.B.NS.FD(), Interfaces: []string{name}, Receive: []string{name},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var sizes []int
	for i := range 40 {
		sizes = append(sizes, 1200, 1200, 1200, []int{700, 1200, 1300, 1}[i%4])
	}
	for _, network := range []string{"udp4", "udp6"} {
		t.Run(network, func(t *testing.T) {
			far := lab.B.IPv4()
			if network == "udp6" {
				far = lab.B.IPv6()
			}
			kernel := coalescing(t, func() (c conn, err error) {
				in(t, lab.B, func() error {
					c, err = ofNet.listenUDP(network, nil)
					return err
				})
				return c, err
			})
			ours := coalescing(t, func() (conn, error) { return orNil(s.ListenUDP(network, nil)) })
			var a [2]conn
			for i := range a {
				in(t, lab.A, func() (err error) {
					a[i], err = ofNet.listenUDP(network, nil)
					return err
				})
				defer a[i].Close()
			}
			// So that the port is with the XDP program and both neighbours are known, before anything is counted.
			for _, b := range []conn{kernel, ours} {
				if err := exchange(a[0], b, at(far, b)); err != nil {
					t.Fatal(err)
				}
			}
			for i, size := range sizes {
				payload := make([]byte, size)
				payload[0] = byte(i)
				for _, b := range []conn{kernel, ours} {
					if _, err := a[i/13%2].WriteToUDPAddrPort(payload, at(far, b)); err != nil {
						t.Fatal(err)
					}
				}
			}
			socket := ours.(*wsknet.UDPConn).Socket()
			testenv.Eventually(t, waitLimit, "all to have come", func() bool { return socket.ReceiveStatistics().Buffered == len(sizes) })
			want, _ := datagrams(t, kernel, len(sizes))
			got, most := datagrams(t, ours, len(sizes))
			if !slices.Equal(got, want) {
				t.Errorf("%q\n   the kernel %q", got, want)
			}
			if most < 4 {
				t.Errorf("a read got %d datagrams at most", most)
			}
		})
	}
	for _, q := range s.Datapath().Info().Queues {
		if q.Receive == nil || q.Receive.Delivered < uint64(2*len(sizes)) {
			t.Errorf("received by AF_XDP: %+v", q.Receive)
		}
	}
}

// coalescing opens a socket with UDP_GRO.
func coalescing(t *testing.T, open func() (conn, error)) conn {
	t.Helper()
	c, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := set(t, c, [3]int{unix.IPPROTO_UDP, unix.UDP_GRO, 1}); err != nil {
		t.Fatal(err)
	}
	c.SetReadBuffer(4 << 20)
	c.SetReadDeadline(time.Now().Add(waitLimit))
	return c
}

// datagrams reads until it has n, and takes apart what has come together. most is how many one read has got at most.
func datagrams(t *testing.T, c conn, n int) (list []string, most int) {
	t.Helper()
	buf, oob := make([]byte, 1<<16), make([]byte, 100)
	ports := map[netip.AddrPort]int{}
	for len(list) < n {
		size, oobn, flags, from, err := c.ReadMsgUDPAddrPort(buf, oob)
		if err != nil || flags != 0 {
			t.Fatalf("after %d: flags %#x, %v", len(list), flags, err)
		}
		if _, known := ports[from]; !known {
			ports[from] = len(ports)
		}
		segment := size
		ms, err := syscall.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			if m.Header.Level == unix.IPPROTO_UDP && m.Header.Type == unix.UDP_GRO {
				segment = int(binary.NativeEndian.Uint32(m.Data))
			}
		}
		count := 0
		for at := 0; at < size; at += segment {
			list = append(list, fmt.Sprintf("%d: %d bytes from %d", buf[at], min(segment, size-at), ports[from]))
			count++
		}
		most = max(most, count)
	}
	return list, most
}

// TestCoalescedAllocatesNothing: neither does a read that gets several datagrams.
func TestCoalescedAllocatesNothing(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: lab.B.NS.FD()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := coalescing(t, func() (conn, error) { return orNil(s.ListenUDP("udp4", &net.UDPAddr{IP: lab.B.IPv4().AsSlice()})) })
	var a conn
	in(t, lab.A, func() (err error) {
		a, err = ofNet.listenUDP("udp4", nil)
		return err
	})
	defer a.Close()
	if err := exchange(a, c, at(lab.B.IPv4(), c)); err != nil {
		t.Fatal(err)
	}
	const rounds, each = 50, 8
	for range (rounds + 1) * each {
		if _, err := a.WriteToUDPAddrPort(make([]byte, 100), at(lab.B.IPv4(), c)); err != nil {
			t.Fatal(err)
		}
	}
	socket := c.(*wsknet.UDPConn).Socket()
	testenv.Eventually(t, waitLimit, "all to have come", func() bool {
		stats := socket.ReceiveStatistics()
		return stats.Buffered+int(stats.Delivered) > (rounds+1)*each
	})
	buf, oob := make([]byte, 100*each), make([]byte, 100)
	allocations := testing.AllocsPerRun(rounds, func() {
		if n, _, _, _, err := c.ReadMsgUDPAddrPort(buf, oob); n != len(buf) || err != nil {
			t.Fatal(n, err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
