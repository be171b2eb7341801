// SPDX-License-Identifier: Apache-2.0

package netconn_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// dialled is a connection with an arrival of each kind from its remote.
func dialled(t *testing.T, transport *wsktest.Transport, npi *wsk.ProviderNPI, remote string) (*netconn.Conn, wsktest.Arrival) {
	t.Helper()
	to := netip.MustParseAddrPort(remote)
	transport.SetLocal(netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("2001:db8::200")) // has routes
	c, err := netconn.Dial(npi, "udp", netip.AddrPort{}, to, netconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(waitLimit))
	local := netip.MustParseAddr("192.0.2.200")
	if to.Addr().Is6() {
		local = netip.MustParseAddr("2001:db8::200")
	}
	port := netip.MustParseAddrPort(c.LocalAddr().String()).Port()
	return c, wsktest.Arrival{From: to, To: netip.AddrPortFrom(local, port), TTL: 64, IfIndex: 1}
}

// ICMP errors of a dialled connection become what a connected socket of Linux makes of them (icmp(7), ip(7)): one that
// lasts fails one read, one that may pass does not show.
func TestICMPErrors(t *testing.T) {
	const v4, v6 = wsk.IPPROTO_ICMP, wsk.IPPROTO_ICMPV6
	transport, npi := fake(t)
	c4, a4 := dialled(t, transport, npi, "192.0.2.1:9")
	c6, a6 := dialled(t, transport, npi, "[2001:db8::1]:9")
	for _, tc := range []struct {
		e    wsk.ReceiveError
		want error // nil: not reported
	}{
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 0}, nil},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 1}, nil},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 2}, syscall.ENOPROTOOPT},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 3}, syscall.ECONNREFUSED},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 4, Info: 1400}, syscall.EMSGSIZE},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 6}, syscall.ENETUNREACH},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 7}, syscall.EHOSTDOWN},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 8}, syscall.Errno(64)}, // ENONET
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 9}, syscall.ENETUNREACH},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 10}, syscall.EHOSTUNREACH},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 13}, syscall.EHOSTUNREACH},
		{wsk.ReceiveError{Protocol: v4, Type: 3, Code: 200}, nil},
		{wsk.ReceiveError{Protocol: v4, Type: 11, Code: 0}, nil},
		{wsk.ReceiveError{Protocol: v4, Type: 12, Code: 0}, syscall.EPROTO},
		{wsk.ReceiveError{Protocol: v6, Type: 1, Code: 0}, nil},
		{wsk.ReceiveError{Protocol: v6, Type: 1, Code: 1}, syscall.EACCES},
		{wsk.ReceiveError{Protocol: v6, Type: 1, Code: 3}, nil},
		{wsk.ReceiveError{Protocol: v6, Type: 1, Code: 4}, syscall.ECONNREFUSED},
		{wsk.ReceiveError{Protocol: v6, Type: 1, Code: 6}, syscall.EACCES},
		{wsk.ReceiveError{Protocol: v6, Type: 1, Code: 7}, syscall.EPROTO},
		{wsk.ReceiveError{Protocol: v6, Type: 2, Code: 0, Info: 1280}, syscall.EMSGSIZE},
		{wsk.ReceiveError{Protocol: v6, Type: 3, Code: 0}, nil},
		{wsk.ReceiveError{Protocol: v6, Type: 4, Code: 1}, syscall.EPROTO},
	} {
		c, a := c4, a4
		if tc.e.Protocol == v6 {
			c, a = c6, a6
		}
		failed, datagram := a, a
		failed.Err, datagram.Payload = &tc.e, []byte("after")
		if n := transport.Arrive(failed, datagram); n != 2 {
			t.Fatalf("%d arrived", n)
		}
		buf := make([]byte, 10)
		n, err := c.Read(buf)
		if tc.want != nil {
			if n != 0 || !errors.Is(err, tc.want) {
				t.Errorf("%+v: %d, %v, want %v", tc.e, n, err, tc.want)
			}
			n, err = c.Read(buf)
		}
		if err != nil || string(buf[:n]) != "after" {
			t.Errorf("%+v: then %q, %v", tc.e, buf[:n], err)
		}
	}
}

// That a packet was too large is no error of a connection that does not mind the MTU of the path.
func TestTooBigIsNoErrorWithoutPathMTU(t *testing.T) {
	transport, npi := fake(t)
	for remote, tc := range map[string]struct {
		level, code uint32
		e           wsk.ReceiveError
	}{
		"192.0.2.1:9":     {wsk.IPPROTO_IP, wsk.IP_MTU_DISCOVER, wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 4}},
		"[2001:db8::1]:9": {wsk.IPPROTO_IPV6, wsk.IPV6_MTU_DISCOVER, wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMPV6, Type: 2}},
	} {
		c, a := dialled(t, transport, npi, remote)
		for policy, want := range map[wsk.FragmentPolicy]error{
			wsk.IP_PMTUDISC_NOT_SET: syscall.EMSGSIZE, wsk.IP_PMTUDISC_DO: syscall.EMSGSIZE, wsk.IP_PMTUDISC_PROBE: syscall.EMSGSIZE,
			wsk.IP_PMTUDISC_DONT: nil,
		} {
			irp := wsk.AllocateIRP()
			c.Socket().ControlSocket(wsk.WskSetOption, tc.code, tc.level, binary.LittleEndian.AppendUint32(nil, uint32(policy)), nil, nil, irp)
			if irp.Wait(t.Context()) != nil || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
				t.Fatal(irp.IoStatus.Status)
			}
			a.Err = &tc.e
			transport.Arrive(a)
			if _, err := c.Write([]byte("x")); (want == nil) != (err == nil) || !errors.Is(err, want) {
				t.Errorf("%s, policy %d: %v, want %v", remote, policy, err, want)
			}
		}
	}
}

// As with the kernel's socket, which keeps one, the last of several errors is told, once, by whichever call comes next, and
// ahead of what is buffered, also where the buffer is full.
func TestICMPErrorsOfABurst(t *testing.T) {
	transport, npi := fake(t)
	c, a := dialled(t, transport, npi, "192.0.2.1:9")
	if err := c.SetReadBuffer(0); err != nil {
		t.Fatal(err)
	}
	datagram, refused, prohibited, passing := a, a, a, a
	datagram.Payload = make([]byte, 5000)
	refused.Err = &wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 3}
	prohibited.Err = &wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 13}
	passing.Err = &wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 1}
	buf := make([]byte, 10_000)
	read := func() (int, error) { return c.Read(buf) }
	for name, call := range map[string]func() (int, error){
		"read": read,
		"a batch of reads": func() (int, error) {
			return c.ReadBatch([]netconn.Message{{Buffers: [][]byte{buf}}, {Buffers: [][]byte{buf}}}, 0)
		},
		"write": func() (int, error) { return c.Write([]byte("x")) },
	} {
		transport.Arrive(refused, refused, prohibited, passing)
		if n, err := call(); n != 0 || !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("%s after several errors: %d, %v, want the last that lasts", name, n, err)
		}
		transport.Arrive(datagram, refused, refused)
		if n, err := call(); n != 0 || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s, with a full buffer: %d, %v, want ECONNREFUSED", name, n, err)
		}
		if n, err := c.Write([]byte("x")); err != nil {
			t.Errorf("%s, then a write: %d, %v", name, n, err)
		}
		if n, err := read(); n != len(datagram.Payload) || err != nil {
			t.Errorf("%s, then a read: %d, %v", name, n, err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := read()
		ended <- err
	}()
	transport.Arrive(refused)
	if err := <-ended; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a read that waits: %v", err)
	}
}

// An empty datagram is not taken for an error, nor an error for a datagram; and an error behind the datagrams of a
// batch is kept for the next read.
func TestICMPErrorInBatch(t *testing.T) {
	transport, npi := fake(t)
	c, a := dialled(t, transport, npi, "192.0.2.1:9")
	datagram, empty, refused, passing := a, a, a, a
	datagram.Payload = []byte("one")
	refused.Err = &wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 3}
	passing.Err = &wsk.ReceiveError{Protocol: wsk.IPPROTO_ICMP, Type: 3, Code: 1}
	ms := make([]netconn.Message, 8)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, 10)}
	}
	transport.Arrive(passing, datagram, empty, passing, datagram, refused, empty)
	if n, err := c.ReadBatch(ms, 0); n != 0 || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%d, %v, want ECONNREFUSED", n, err)
	}
	if n, err := c.ReadBatch(ms, 0); n != 4 || err != nil || ms[0].N != 3 || ms[1].N != 0 || ms[2].N != 3 || ms[3].N != 0 {
		t.Fatalf("%d, %v", n, err)
	}
	type result struct {
		n   int
		err error
	}
	batch := make(chan result, 1)
	go func() {
		n, err := c.ReadBatch(ms, 0)
		batch <- result{n, err}
	}()
	transport.Arrive(datagram)
	transport.Arrive(refused)
	r := <-batch
	if r.err == nil { // else the error had come before the batch began
		if _, err := c.Read(make([]byte, 10)); r.n != 1 || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%d, then Read: %v", r.n, err)
		}
	} else if n, err := c.ReadBatch(ms, 0); n != 1 || err != nil {
		t.Errorf("%v, then %d, %v", r.err, n, err)
	}
}
