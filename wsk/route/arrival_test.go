// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// What we say of a source is what the kernel does with a datagram from it, under every reverse path filter.
func TestAcceptsAsTheKernel(t *testing.T) {
	for _, all := range []string{"0", "1", "2"} {
		for _, own := range []string{"0", "1", "2"} {
			for _, routed := range []bool{false, true} {
				t.Run(fmt.Sprintf("all %s own %s default route %v", all, own, routed), func(t *testing.T) {
					testAccepts(t, all, own, routed)
				})
			}
		}
	}
}

func testAccepts(t *testing.T, all, own string, routed bool) {
	lab := newLab(t, testenv.Topology{NoIPv6: true})
	h := handle(t, lab.A.NS)
	must(t, addPair(h, "two"))
	must(t, setUp(h, "two", "two-end"))
	two, err := testenv.FindIface(lab.A.NS, "two")
	must(t, err)
	must(t, two.AddAddr(netip.MustParsePrefix(other4)))
	if routed {
		must(t, h.RouteAdd(&netlink.Route{Dst: ipNet("0.0.0.0/0"), Gw: addr("10.77.0.254").AsSlice(), LinkIndex: lab.A.If.Index()}))
	}
	table := open(t, lab, Options{})
	w := newWatch(t, table)
	must(t, lab.A.NS.Sysctl("ipv4/conf/all/rp_filter", all))
	must(t, lab.A.NS.Sysctl("ipv4/conf/wsk0/rp_filter", own))
	want := max(all, own)
	index := lab.A.If.Index()
	testenv.Eventually(t, patience, "the filter", func() bool { return fmt.Sprint(uint8(table.ReversePath(index))) == want })
	if all != "0" {
		w.kind(t, ReversePathChanged, 0)
	}
	if own != "0" {
		w.kind(t, ReversePathChanged, index)
	}
	fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Port: 9}))
	for i, src := range []string{
		"10.77.0.2", "10.77.0.3", "10.78.0.3", "8.8.8.8", "240.0.0.1", "10.77.0.255", "10.77.0.1", "127.0.0.1", "224.0.0.1",
		"255.255.255.255", "0.0.0.0", "10.78.0.1",
	} {
		got, err := table.Accepts(Arrival{Src: addr(src), Dst: lab.A.IPv4(), Interface: index})
		must(t, err)
		if want := delivered(t, lab, fd, addr(src), fmt.Sprintf("%d;", i)); got != want {
			t.Errorf("from %s: accepted %v; the kernel: %v", src, got, want)
		}
	}
	if _, err := table.Accepts(Arrival{Src: addr("10.77.0.2"), Dst: lab.A.IPv4(), Interface: 12345}); !errorIs(err, ErrNoDevice) {
		t.Errorf("no such device: %v", err)
	}
}

// delivered sends a datagram with this source to A, and one that is taken in any case after it.
func delivered(t *testing.T, lab *testenv.Lab, fd int, src netip.Addr, text string) bool {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// On one processor what is sent first is dealt with first.
	var before, one unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &before))
	for cpu := range 1024 {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	must(t, unix.SchedSetaffinity(0, &one))
	defer unix.SchedSetaffinity(0, &before)
	must(t, lab.B.If.SendFrame(datagram(lab, src, text)))
	must(t, lab.B.If.SendFrame(datagram(lab, lab.B.IPv4(), "end "+text)))
	deadline := time.Now().Add(testenv.Patience(patience))
	buf := make([]byte, 64)
	seen := false
	for time.Now().Before(deadline) {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case err != nil:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		case string(buf[:n]) == "end "+text:
			return seen
		case string(buf[:n]) == text:
			seen = true
		}
	}
	t.Fatal("not even the good datagram came")
	return false
}

// datagram is a frame for A's port 9, without UDP checksum. It is put together by hand: the source may be impossible.
func datagram(lab *testenv.Lab, src netip.Addr, text string) []byte {
	f := append([]byte(nil), lab.A.If.MAC()...)
	f = append(append(f, lab.B.If.MAC()...), 8, 0)
	ip := make([]byte, 28)
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(text)))
	copy(ip[12:], src.AsSlice())
	copy(ip[16:], lab.A.IPv4().AsSlice())
	var sum frame.Sum
	sum.Add(ip[:20])
	binary.BigEndian.PutUint16(ip[10:], ^sum.Fold())
	binary.BigEndian.PutUint16(ip[20:], 9000)
	binary.BigEndian.PutUint16(ip[22:], 9)
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(text)))
	return append(append(f, ip...), text...)
}

func TestAcceptsIPv6AndNonsense(t *testing.T) {
	table := bareTable()
	for src, want := range map[string]bool{"fd00::1": true, "ff02::1": false, "::": false, "::1": false} {
		if got, err := table.Accepts(Arrival{Src: addr(src), Dst: addr("fd00::2")}); err != nil || got != want {
			t.Errorf("%s: %v, %v", src, got, err)
		}
	}
	if got, err := table.Accepts(Arrival{Src: addr("fd00::1"), Dst: addr("10.0.0.1")}); err != nil || got {
		t.Errorf("two families: %v, %v", got, err)
	}
	if _, err := table.Accepts(Arrival{Src: addr("10.0.0.2"), Dst: addr("10.0.0.1")}); !errorIs(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestParseNetconf(t *testing.T) {
	conf := func(index int32, attrs ...uint16) message {
		m := message{unix.AF_INET, 0, 0, 0}.attr32(netconfIndex, uint32(index))
		for i := 0; i < len(attrs); i += 2 {
			m = m.attr32(attrs[i], uint32(attrs[i+1]))
		}
		return m
	}
	for name, test := range map[string]struct {
		in            message
		index, filter int
		ok            bool
	}{
		"strict": {conf(7, netconfRPFilter, 1), 7, 1, true}, "all": {conf(-1, netconfRPFilter, 2), netconfAll, 2, true},
		"something else": {conf(7, 2, 1), 7, -1, true}, "for new devices": {conf(-2, netconfRPFilter, 1), -2, 1, false},
		"out of range": {conf(7, netconfRPFilter, 3), 7, -1, true}, "IPv6": {message{unix.AF_INET6, 0, 0, 0}, 0, 0, false},
		"short": {message{unix.AF_INET}, 0, 0, false},
	} {
		index, filter, ok := parseNetconf(test.in)
		if index != test.index || filter != test.filter || ok != test.ok {
			t.Errorf("%s: %d, %d, %v", name, index, filter, ok)
		}
	}
}

// A socket in a VRF is asked for as one: what it sends leaves through the VRF, whatever the default routes say.
func TestAskedInAVRF(t *testing.T) {
	j, h := twoWays(t)
	s := &stage{t: t, h: h}
	red := s.add(&netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "red"}, Table: 10})
	must(t, h.LinkSetUp(red))
	l, err := h.LinkByName("two")
	must(t, err)
	must(t, h.LinkSetMaster(l, red))
	// Enslaving takes the IPv6 addresses away.
	testenv.Eventually(t, patience, "the address", func() bool { return j.links[1].AddAddr(netip.MustParsePrefix(other6)) == nil })
	j.knows(1, "10.78.0.254", "fd78::fe")
	must(t, h.RouteAdd(via(10, j, "0.0.0.0/0", "10.78.0.254")))
	must(t, h.RouteAdd(via(10, j, "::/0", "fd78::fe")))
	table := open(t, j.lab, Options{})
	index := red.Attrs().Index
	if got := table.VRF(j.links[1].Index()); got != index {
		t.Errorf("VRF of the port is %d, want %d", got, index)
	}
	if got := table.VRF(j.links[0].Index()); got != 0 {
		t.Errorf("VRF of the other device is %d", got)
	}
	for _, q := range []Query{
		{Dst: addr(far4), DstPort: 9, Bound: index}, {Dst: addr(far6), DstPort: 9, Bound: index},
		{Dst: addr(far4), DstPort: 9, Bound: index, Src: addr("10.78.0.1")}, {Dst: addr(far6), DstPort: 9, Bound: index, Src: addr("fd78::1")},
		{Dst: addr(far4), DstPort: 9}, {Dst: addr(far6), DstPort: 9},
		{Dst: addr(far4), DstPort: 9, Bound: index, Interface: j.links[1].Index()},
		{Dst: addr(far6), DstPort: 9, Bound: index, Interface: j.links[1].Index()},
		{Dst: addr("10.78.0.254"), DstPort: 9, Bound: j.links[1].Index()},
	} {
		j.compare(table, q)
	}
}
