// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/client"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/servicetest"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// Marks of the lab. What has none goes into the tunnel.
const (
	markOutside     = 51820 // by the main table, as wg-quick has it
	markSlow        = 13    // by a device that AF_XDP does not send through
	markUnreachable = 7
	markProhibit    = 8
	markBlackhole   = 9
	markNoRoute     = 10
)

// far4 and far6 are what the routes of the lab lead to, by three devices.
var far4, far6 = netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:7::1")

// tunnelled makes a lab as wg-quick leaves a host whose whole traffic goes through a tunnel: what has its mark goes by the main
// table, everything else by another. The source address of what arrives tells the way.
func tunnelled(t *testing.T) *testenv.Lab {
	t.Helper()
	lab := testenv.NewLabT(t, testenv.Topology{})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []netip.Addr{far4, far6} {
		must(lab.B.If.AddAddr(netip.PrefixFrom(a, a.BitLen())))
	}
	h, err := lab.A.NS.Netlink()
	must(err)
	defaults := func(link, table, typ int, gateways ...netip.Addr) {
		t.Helper()
		for _, g := range gateways {
			r := netlink.Route{LinkIndex: link, Table: table, Type: typ, Gw: g.AsSlice(), Dst: everything(g)}
			if typ != unix.RTN_UNICAST {
				r.Gw = nil
			}
			must(h.RouteAdd(&r))
		}
	}
	rule := func(priority int, mark uint32, table int, invert bool) {
		t.Helper()
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			r := netlink.NewRule()
			r.Priority, r.Family, r.Mark, r.Table, r.Invert = priority, family, mark, table, invert
			must(h.RuleAdd(r))
		}
	}
	defaults(lab.A.If.Index(), unix.RT_TABLE_MAIN, unix.RTN_UNICAST, lab.B.IPv4(), lab.B.IPv6())
	tunnel4, tunnel6 := veth(t, lab, "tunnel", 81, 1420)
	defaults(linkIndex(t, lab, "tunnel"), markOutside, unix.RTN_UNICAST, tunnel4, tunnel6)
	slow4, slow6 := veth(t, lab, "slow", 82, 1500)
	defaults(linkIndex(t, lab, "slow"), markSlow, unix.RTN_UNICAST, slow4, slow6)
	for table, typ := range map[int]int{
		markUnreachable: unix.RTN_UNREACHABLE, markProhibit: unix.RTN_PROHIBIT, markBlackhole: unix.RTN_BLACKHOLE,
	} {
		defaults(0, table, typ, far4, far6)
		rule(100+table, uint32(table), table, false)
	}
	rule(200, markSlow, markSlow, false)
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		r := netlink.NewRule()
		r.Priority, r.Family, r.Table, r.SuppressPrefixlen = 300, family, unix.RT_TABLE_MAIN, 0
		must(h.RuleAdd(r))
		r = netlink.NewRule()
		r.Priority, r.Family, r.Mark, r.Type = 150, family, markNoRoute, unix.FR_ACT_UNREACHABLE
		must(h.RuleAdd(r))
	}
	rule(301, markOutside, markOutside, true)
	return lab
}

// everything is the prefix of all addresses of a family.
func everything(a netip.Addr) *net.IPNet {
	n := a.BitLen()
	return &net.IPNet{IP: make(net.IP, n/8), Mask: net.CIDRMask(0, n)}
}

func linkIndex(t *testing.T, lab *testenv.Lab, name string) int {
	t.Helper()
	i, err := testenv.FindIface(lab.A.NS, name)
	if err != nil {
		t.Fatal(err)
	}
	return i.Index()
}

// veth is another link between the hosts. It returns the addresses of B there.
func veth(t *testing.T, lab *testenv.Lab, name string, subnet byte, mtu int) (b4, b6 netip.Addr) {
	t.Helper()
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.Flags = name, mtu, net.FlagUp
	if err := h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerMTU: uint32(mtu), PeerNamespace: netlink.NsFd(lab.B.NS.FD())}); err != nil {
		t.Fatal(err)
	}
	address := func(last byte) (v4, v6 netip.Prefix) {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, subnet, last}), 24),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x77, 14: subnet, 15: last}), 120)
	}
	for last, host := range []*testenv.Host{lab.A, lab.B} {
		i, err := testenv.FindIface(host.NS, name)
		if err != nil {
			t.Fatal(err)
		}
		nl, err := host.NS.Netlink()
		if err != nil {
			t.Fatal(err)
		}
		if err := nl.LinkSetUp(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: i.Index()}}); err != nil {
			t.Fatal(err)
		}
		v4, v6 := address(byte(last + 1))
		for _, p := range []netip.Prefix{v4, v6} {
			if err := i.AddAddr(p); err != nil {
				t.Fatal(err)
			}
		}
		b4, b6 = v4.Addr(), v6.Addr()
	}
	return b4, b6
}

// TestMark: a socket's mark decides its routes as it does those of the kernel's socket, datagram by datagram, set by an
// option or by the descriptor, changed, and taken off again.
func TestMark(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := tunnelled(t)
	marks := []int{
		0, markOutside, markSlow, markUnreachable, markOutside, markProhibit, markBlackhole, markNoRoute, markSlow, 0, markOutside, 77,
	}
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: lab.A.NS.FD()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tooLarge(t, lab, s)
	for _, tc := range []struct {
		network string
		far     netip.Addr
	}{{"udp4", far4}, {"udp6", far6}, {"udp", far4}} {
		t.Run(tc.network+" to "+tc.far.String(), func(t *testing.T) {
			var b conn
			in(t, lab.B, func() (err error) {
				b, err = ofNet.listenUDP(tc.network, nil)
				return err
			})
			defer b.Close()
			b.SetReadDeadline(time.Now().Add(waitLimit))
			ways := func(f functions) (list []string) {
				var c conn
				in(t, lab.A, func() (err error) {
					c, err = f.listenUDP(tc.network, nil)
					return err
				})
				defer c.Close()
				for _, mark := range marks {
					if err := set(t, c, [3]int{unix.SOL_SOCKET, unix.SO_MARK, mark}); err != nil {
						t.Fatalf("%s: mark %d: %v", f.name, mark, err)
					}
					list = append(list, fmt.Sprintf("%d %s", mark, way(t, c, b, at(tc.far, b))))
				}
				return list
			}
			want, got := ways(ofNet), ways(ofStack("stack", s))
			if !slices.Equal(got, want) {
				t.Errorf("%q\n the kernel %q", got, want)
			}
			for _, mark := range []uint32{0, markOutside, markSlow} { // by an option
				o, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: lab.A.NS.FD()}, Conn: netconn.Options{Mark: mark}})
				if err != nil {
					t.Fatal(err)
				}
				c, err := o.DialUDP(tc.network, nil, net.UDPAddrFromAddrPort(at(tc.far, b)))
				if err != nil {
					t.Fatal(err)
				}
				k := dialMarked(t, lab.A, tc.network, at(tc.far, b), mark)
				got, want := c.LocalAddr().(*net.UDPAddr).IP, k.LocalAddr().(*net.UDPAddr).IP
				if !got.Equal(want) {
					t.Errorf("dialled with mark %d: from %v, the kernel from %v", mark, got, want)
				}
				if got, want := way(t, c, b, netip.AddrPort{}), way(t, k, b, netip.AddrPort{}); got != want {
					t.Errorf("dialled with mark %d: %s, the kernel %s", mark, got, want)
				}
				k.Close()
				o.Close()
			}
		})
	}
	info := s.Datapath().Info()
	if info.SlowSent == 0 || info.SlowReasons["mtu"]+info.SlowReasons["opening"] != info.SlowPaths {
		t.Errorf("through the kernel's stack for %v, want only what the device cannot carry", info.SlowReasons)
	}
	interfaces := map[string]uint64{}
	for _, q := range info.Queues {
		interfaces[q.Interface] += q.Submitted
	}
	if interfaces["tunnel"] == 0 || interfaces[lab.A.If.Name()] == 0 {
		t.Errorf("frames by interface: %v", interfaces)
	}
}

// tooLarge has the packets of the device "slow" become larger than the queue that is open there can carry.
func tooLarge(t *testing.T, lab *testenv.Lab, s *wsknet.Stack) {
	t.Helper()
	c, err := s.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := set(t, c, [3]int{unix.SOL_SOCKET, unix.SO_MARK, markSlow}); err != nil {
		t.Fatal(err)
	}
	write := func() {
		if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(far4, 9)); err != nil {
			t.Fatal(err)
		}
	}
	write()
	testenv.Eventually(t, waitLimit, "a queue", func() bool { return len(s.Datapath().Info().Queues) == 1 })
	for _, host := range []*testenv.Host{lab.B, lab.A} {
		i, err := testenv.FindIface(host.NS, "slow")
		if err != nil {
			t.Fatal(err)
		}
		if err := i.SetMTU(65535); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, waitLimit, "the kernel's stack to be used", func() bool {
		write()
		return s.Datapath().Info().SlowReasons["mtu"] > 0
	})
}

// way writes a datagram and says where it has come from, or why it could not be written.
func way(t *testing.T, c, b conn, to netip.AddrPort) string {
	t.Helper()
	var err error
	if to.IsValid() {
		_, err = c.WriteToUDPAddrPort([]byte("x"), to)
	} else {
		_, err = c.Write([]byte("x"))
	}
	if err != nil {
		return errnoOf(err)
	}
	_, from, err := b.ReadFromUDPAddrPort(make([]byte, 10))
	if err != nil {
		t.Fatal(err)
	}
	return "from " + from.Addr().Unmap().String()
}

func dialMarked(t *testing.T, host *testenv.Host, network string, to netip.AddrPort, mark uint32) (c conn) {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark)) })
		return errors.Join(err, failed)
	}}
	in(t, host, func() error {
		opened, err := d.DialContext(context.Background(), network, to.String())
		if err == nil {
			c = opened.(*net.UDPConn)
		}
		return err
	})
	return c
}

// TestMarkOfEach: a datagram has the mark that its socket had when it was sent, also when that changes before it leaves.
func TestMarkOfEach(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := tunnelled(t)
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: lab.A.NS.FD()}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tooLarge(t, lab, s)
	c, err := s.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := pcKernel(lab.B).Listen("udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.SetReadBuffer(4 << 20)
	b.SetReadDeadline(time.Now().Add(waitLimit))
	h, err := lab.B.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	_, all, _ := net.ParseCIDR("198.51.100.0/24")
	local := netlink.Route{Dst: all, Type: unix.RTN_LOCAL, LinkIndex: 1, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}
	if err := h.RouteAdd(&local); err != nil {
		t.Fatal(err)
	}
	// More destinations than are remembered one by one.
	to := func(i int) wsk.SOCKADDR {
		return wsk.NewSockaddr(at(netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i)}), b))
	}
	sources := map[uint32]string{0: "10.77.81.1", markOutside: lab.A.IPv4().String(), markSlow: "10.77.82.1"}
	marks := []uint32{markSlow, markSlow, 0, markSlow, markOutside}
	const n = 200
	irps := make([]*wsk.IRP, n)
	for i := range irps {
		if status := c.Socket().SetMark(marks[i%len(marks)]); status != wsk.STATUS_SUCCESS {
			t.Fatal(status)
		}
		irps[i] = wsk.AllocateIRP()
		c.Socket().SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL([]byte{byte(i)}), Length: 1}, 0, to(i), nil, irps[i])
		if i%20 != 19 {
			continue
		}
		for k := i - 19; k <= i; k++ { // from here on ways are known that destinations share
			if err := irps[k].Wait(testenv.Context(t, waitLimit)); err != nil || irps[k].IoStatus.Status != wsk.STATUS_SUCCESS {
				t.Fatalf("datagram %d: %v, %v", k, irps[k].IoStatus.Status, err)
			}
		}
	}
	for range n {
		buf := make([]byte, 10)
		_, from, err := b.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		mark := marks[int(buf[0])%len(marks)]
		if got := from.Addr().Unmap().String(); got != sources[mark] {
			t.Errorf("datagram %d with mark %d from %s, want %s", buf[0], mark, got, sources[mark])
		}
	}
}

// TestMarkPathMTU: the path MTU that a router tells is learned for the route of the mark, so that the writes to come are too
// long, as those of the kernel's socket.
func TestMarkPathMTU(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{Shape: testenv.Routed, FarMTU: 1300})
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	gateway, _ := veth(t, lab, "tunnel", 81, 1500)
	r := netlink.Route{LinkIndex: linkIndex(t, lab, "tunnel"), Table: markOutside, Gw: gateway.AsSlice(), Dst: everything(gateway)}
	if err := h.RouteAdd(&r); err != nil {
		t.Fatal(err)
	}
	rule := netlink.NewRule()
	rule.Priority, rule.Mark, rule.Table, rule.Invert = 301, markOutside, markOutside, true
	if err := h.RuleAdd(rule); err != nil {
		t.Fatal(err)
	}
	for _, f := range []functions{ofWsknet, ofNet} {
		var c conn
		in(t, lab.A, func() (err error) {
			c, err = f.listenUDP("udp4", nil)
			return err
		})
		defer c.Close()
		err := set(t, c, [3]int{unix.SOL_SOCKET, unix.SO_MARK, markOutside}, [3]int{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO})
		if err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, waitLimit, f.name+": the path MTU to be known", func() bool {
			_, err := c.WriteToUDPAddrPort(make([]byte, 1400), netip.AddrPortFrom(lab.B.IPv4(), 9))
			return errors.Is(err, syscall.EMSGSIZE)
		})
	}
}

// TestMarkNeedsPrivilege: who may not set marks is told so, as by the kernel, and keeps the mark that there was.
func TestMarkNeedsPrivilege(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := tunnelled(t)
	s, err := wsknet.Open(wsknet.Options{Datapath: datapath.Options{NetNS: lab.A.NS.FD()}, Conn: netconn.Options{Mark: markSlow}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // the thread ends with it
		defer close(done)
		runtime.LockOSThread()
		if _, err := testenv.DropCapabilities(); err != nil {
			t.Error(err)
			return
		}
		if err := set(t, c, [3]int{unix.SOL_SOCKET, unix.SO_MARK, markOutside}); !errors.Is(err, syscall.EPERM) {
			t.Errorf("by the descriptor: %v, want EPERM", err)
		}
		if status := c.Socket().SetMark(markOutside); errnoOf(status.Err()) == "nil" {
			t.Errorf("SetMark: %v", status)
		}
	}()
	<-done
	b, err := pcKernel(lab.B).Listen("udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.SetReadDeadline(time.Now().Add(waitLimit))
	if got := way(t, c, b, at(far4, b)); got != "from 10.77.82.1" {
		t.Errorf("%s, want the way of the mark that there was", got)
	}
}

// TestMarkThroughDaemon: a daemon gives its clients no marks, and says so.
func TestMarkThroughDaemon(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	name := lab.A.If.Name()
	below, err := datapath.Open(datapath.Options{NetNS: lab.A.NS.FD(), Interfaces: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { below.Close() })
	path := servicetest.Serve(t, below, name, func(uint32) string { return name }, below.Recheck)
	for _, mark := range []uint32{0, 7} {
		s, err := wsknet.Open(wsknet.Options{Daemon: &client.Options{Path: path}, Conn: netconn.Options{Mark: mark}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, err := s.ListenUDP("udp4", nil)
		if mark != 0 {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("with the option: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := set(t, c, [3]int{unix.SOL_SOCKET, unix.SO_MARK, 7}); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("by the descriptor: %v", err)
		}
	}
}
