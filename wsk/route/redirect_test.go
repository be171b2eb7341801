// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A redirect that the kernel heeds changes our answer as soon as the kernel's, and the generation with it; one that it does not heed
// changes nothing.
func TestRedirect(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	j := newJudge(t, lab)
	router6 := linkLocal(t, lab.B.If)
	j.knows(0, "10.77.0.2", "10.77.0.9", "fe80::9", router6.String())
	h := handle(t, lab.A.NS)
	must(t, h.RouteAdd(via(0, j, "0.0.0.0/0", "10.77.0.2")))
	must(t, h.RouteAdd(via(0, j, "::/0", router6.String())))
	table := open(t, lab, Options{CacheTTL: time.Hour})
	for _, test := range []struct {
		dst, before, after netip.Addr
		redirect           func(from netip.Addr) []byte
	}{
		{addr(far4), lab.B.IPv4(), addr("10.77.0.9"), func(from netip.Addr) []byte { return redirect4(lab, from, addr("10.77.0.9"), addr(far4)) }},
		{addr(far6), router6, addr("fe80::9"), func(from netip.Addr) []byte { return redirect6(t, lab, from, addr("fe80::9"), addr(far6)) }},
	} {
		q := Query{Dst: test.dst, SrcPort: 4000, DstPort: 9}
		// The kernel heeds only what answers a datagram of a socket that is there.
		fd := j.stays(q)
		settle(t, lab, table)
		hop, err := table.Resolve(t.Context(), q)
		must(t, err)
		if hop.Gateway != test.before {
			t.Fatalf("before: %+v", hop)
		}
		gen := table.Generation()
		must(t, lab.B.If.SendFrame(test.redirect(addr(map[bool]string{true: "10.77.0.3", false: "fe80::3"}[test.dst.Is4()]))))
		must(t, lab.B.If.SendFrame(test.redirect(test.before)))
		testenv.Eventually(t, patience, "the other gateway", func() bool {
			hop, err := table.Resolve(t.Context(), q)
			return err == nil && hop.Gateway == test.after
		})
		if table.Generation() == gen {
			t.Error("the generation has not grown")
		}
		j.compare(table, Query{Dst: test.dst, SrcPort: 4001, DstPort: 9})
		unix.Close(fd)
	}
}

// stays sends q and keeps the socket.
func (j *judge) stays(q Query) int {
	j.t.Helper()
	family := unix.AF_INET
	var local, to unix.Sockaddr = &unix.SockaddrInet4{Port: int(q.SrcPort)}, nil
	if q.Dst.Is4() {
		to = &unix.SockaddrInet4{Port: int(q.DstPort), Addr: q.Dst.As4()}
	} else {
		family, local = unix.AF_INET6, &unix.SockaddrInet6{Port: int(q.SrcPort)}
		to = &unix.SockaddrInet6{Port: int(q.DstPort), Addr: q.Dst.As16()}
	}
	fd, err := j.lab.A.NS.Socket(family, unix.SOCK_DGRAM, 0)
	must(j.t, err)
	must(j.t, unix.Bind(fd, local))
	must(j.t, unix.Sendto(fd, []byte("x"), 0, to))
	return fd
}

func redirect4(lab *testenv.Lab, from, gateway, dst netip.Addr) []byte {
	header := func(src, dst netip.Addr, proto byte, n int) []byte {
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(ip[2:], uint16(n))
		copy(ip[12:], src.AsSlice())
		copy(ip[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
		return ip
	}
	quoted := append(header(lab.A.IPv4(), dst, unix.IPPROTO_UDP, 29), 0x0f, 0xa0, 0, 9, 0, 9, 0, 0) // port 4000 to 9
	icmp := append([]byte{icmpRedirect, 1, 0, 0}, gateway.AsSlice()...)
	icmp = append(icmp, quoted...)
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
	f := append(append(append([]byte(nil), lab.A.If.MAC()...), lab.B.If.MAC()...), 8, 0)
	return append(append(f, header(from, lab.A.IPv4(), unix.IPPROTO_ICMP, 20+len(icmp))...), icmp...)
}

func redirect6(t *testing.T, lab *testenv.Lab, from, target, dst netip.Addr) []byte {
	to := linkLocal(t, lab.A.If)
	icmp := append([]byte{icmpv6Redirect, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	icmp = append(icmp, dst.AsSlice()...)
	sum := frame.PseudoHeaderSum(from, to, unix.IPPROTO_ICMPV6, len(icmp))
	sum.Add(icmp)
	binary.BigEndian.PutUint16(icmp[2:], ^sum.Fold())
	f := append(append(append([]byte(nil), lab.A.If.MAC()...), lab.B.If.MAC()...), 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 255)
	f = append(append(f, from.AsSlice()...), to.AsSlice()...)
	return append(f, icmp...)
}

func checksum(b []byte) uint16 {
	var sum frame.Sum
	sum.Add(b)
	return ^sum.Fold()
}

// However many redirects come, few are pending.
func TestRedirectsAreBounded(t *testing.T) {
	r := &redirects{pending: map[netip.Addr]struct{}{}}
	for i := range 1000 {
		dst := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		about, ok := r.begin(dst)
		if want := i < redirectLimit; ok && about.IsValid() != want || !ok && i <= redirectLimit {
			t.Fatalf("%d: %v, %v", i, about, ok)
		}
	}
	if len(r.pending) != redirectLimit+1 {
		t.Errorf("%d are pending", len(r.pending))
	}
	r.end(netip.Addr{})
	if _, ok := r.begin(netip.AddrFrom4([4]byte{10, 0, 0, 1})); ok {
		t.Error("one that is pending begins again")
	}
}

func TestParseRedirect(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": {}, "short": {0x45}, "no IP": make([]byte, 60), "long header": append([]byte{0x4f}, make([]byte, 59)...),
		"another type": append([]byte{0x45}, make([]byte, 59)...), "IPv6 short": {icmpv6Redirect, 0, 0},
	} {
		if dst, ok := parseRedirect(b); ok {
			t.Errorf("%s: %v", name, dst)
		}
	}
}
