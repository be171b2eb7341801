// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// judge compares what a WSK socket gets with what a socket of the kernel gets in the same namespace, each on its port.
type judge struct {
	injector
	wsk    *port
	kernel int

	mu     sync.Mutex
	toWSK  map[string]bool
	toHost map[string]bool
}

const (
	judgedPort = 7310
	hostPort   = 7311
)

func newJudge(t *testing.T, lab *testenv.Lab, dp *Datapath) *judge {
	t.Helper()
	j := &judge{injector: injector{t, lab}, toWSK: make(map[string]bool), toHost: make(map[string]bool)}
	j.wsk = bind(t, dp, fmt.Sprintf("0.0.0.0:%d", judgedPort))
	j.wsk.setHook(func(list *wsk.Datagram) {
		j.mu.Lock()
		defer j.mu.Unlock()
		for list != nil {
			next := list.Next
			j.toWSK[string(list.Payload)] = true
			list.Release()
			list = next
		}
	})
	fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: hostPort}); err != nil {
		t.Fatal(err)
	}
	j.kernel = fd
	return j
}

// both sends a datagram of a flow to each of the two ports, without UDP checksum: its source may be one that no flow has.
func (j *judge) both(f frame.Flow, payload string) {
	j.t.Helper()
	src := f.Src.Addr().As4()
	f.Src = netip.AddrPortFrom(j.lab.B.IPv4(), 777)
	for _, port := range []uint16{judgedPort, hostPort} {
		f.Dst = netip.AddrPortFrom(f.Dst.Addr(), port)
		b := j.build(f, []byte(payload))
		ip := b[frame.EthernetLen:]
		copy(ip[12:], src[:])
		ip[26], ip[27] = 0, 0
		fixIPv4(b)
		j.send(b)
	}
}

// got is what has come by now.
func (j *judge) got() (toWSK, toHost map[string]bool) {
	buf := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(j.kernel, buf, 0)
		if err != nil {
			break
		}
		j.toHost[string(buf[:n])] = true
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.toWSK), maps.Clone(j.toHost)
}

// same fails the test on what one of the two has got and the other has not. Both ways to a WSK socket are in order: once a
// mark has come through AF_XDP, if that is open, and another in fragments through the kernel, so has what was sent before.
func (j *judge) same(what string, through bool) {
	j.t.Helper()
	mark := "mark " + what
	j.both(j.flow(false), mark)
	long := mark + string(make([]byte, 2000))
	sender := testenv.NewUDPSenderT(j.t, j.lab.B.NS, testenv.UDPSenderOptions{})
	for _, port := range []uint16{judgedPort, hostPort} {
		if err := sender.Send(netip.AddrPortFrom(j.lab.A.IPv4(), port), []byte(long)); err != nil {
			j.t.Fatal(err)
		}
	}
	eventually(j.t, "the marks after "+what, func() bool {
		toWSK, toHost := j.got()
		return (!through || toWSK[mark] && toHost[mark]) && toWSK[long] && toHost[long]
	})
	toWSK, toHost := j.got()
	all := maps.Clone(toWSK)
	maps.Copy(all, toHost)
	for _, payload := range slices.Sorted(maps.Keys(all)) {
		if toWSK[payload] != toHost[payload] {
			j.t.Errorf("%s: %.40q came to the WSK socket: %v, to the kernel's: %v", what, payload, toWSK[payload], toHost[payload])
		}
	}
}

// TestSourcesAsTheKernel: under every reverse path filter the sources are delivered that the kernel's socket gets, for datagrams to
// the host, to a subnet's broadcast address and to a group, and other sources as soon as the filter changes.
//
// I13.
func TestSourcesAsTheKernel(t *testing.T) {
	for _, routed := range []bool{false, true} {
		lab, dp := receiveLab(t, testenv.Topology{NoIPv6: true}, Options{})
		if routed {
			err := lab.A.NS.Do(func() error {
				return netlink.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)},
					Gw: net.ParseIP("10.77.0.254"), LinkIndex: lab.A.If.Index()})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		j := newJudge(t, lab, dp)
		group := netip.MustParseAddr("239.7.11.9")
		mustSucceed(t, "join", j.wsk.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(lab.A.If.Index())}))
		mreq := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(lab.A.If.Index())}
		if err := unix.SetsockoptIPMreqn(j.kernel, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq); err != nil {
			t.Fatal(err)
		}
		for round, filter := range []string{"0", "1", "2", "0", "1"} {
			if err := lab.A.NS.Sysctl("ipv4/conf/wsk0/rp_filter", filter); err != nil {
				t.Fatal(err)
			}
			// The change is announced, and so is what comes of it.
			eventually(t, "the filter", func() bool { return dp.hub.ChecksSources() == (filter != "0") })
			what := fmt.Sprintf("round %d, filter %s, default route %v", round, filter, routed)
			for _, src := range []string{
				"10.77.0.2", "10.77.0.3", "8.8.8.8", "240.0.0.1", "10.77.0.255", "10.77.0.1", "127.0.0.1", "224.0.0.1",
				"255.255.255.255", "0.0.0.0", "192.168.7.7", "169.254.1.1",
			} {
				for _, dst := range []netip.Addr{lab.A.IPv4(), netip.MustParseAddr("10.77.0.255"), group} {
					f := j.flow(false)
					f.Src, f.Dst = netip.AddrPortFrom(netip.MustParseAddr(src), 777), netip.AddrPortFrom(dst, 1)
					switch {
					case dst == group:
						f.DstMAC, _ = frame.MulticastMAC(dst)
					case dst != lab.A.IPv4():
						f.DstMAC = frame.BroadcastMAC()
					}
					j.both(f, fmt.Sprintf("%s: from %s to %v", what, src, dst))
				}
			}
			j.same(what, true)
		}
		if received(t, dp).Refused == 0 || received(t, dp).Delivered == 0 {
			t.Errorf("nothing was refused, or nothing delivered: %+v", received(t, dp))
		}
	}
}

// TestPoliciesAsTheKernel: while an IPsec policy of the host is for what comes in to a port, the kernel gets it, and the WSK socket
// what the kernel's own would get.
//
// I13.
func TestPoliciesAsTheKernel(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{NoIPv6: true}, Options{})
	j := newJudge(t, lab, dp)
	all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	esp := []netlink.XfrmPolicyTmpl{{Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT}}
	host := func(s string) *net.IPNet { return &net.IPNet{IP: net.ParseIP(s).To4(), Mask: net.CIDRMask(32, 32)} }
	for _, tc := range []struct {
		name   string
		policy netlink.XfrmPolicy
		bars   bool
	}{
		{"block all", netlink.XfrmPolicy{Src: all, Dst: all, Dir: netlink.XFRM_DIR_IN, Action: netlink.XFRM_POLICY_BLOCK}, true},
		{"block a peer", netlink.XfrmPolicy{Src: host("10.77.0.3"), Dst: all, Dir: netlink.XFRM_DIR_IN, Action: netlink.XFRM_POLICY_BLOCK}, true},
		{"encrypted only", netlink.XfrmPolicy{Src: host("10.77.0.3"), Dst: host("10.77.0.1"), Dir: netlink.XFRM_DIR_IN, Tmpls: esp}, true},
		{"another port", netlink.XfrmPolicy{Src: all, Dst: all, Proto: unix.IPPROTO_UDP, DstPort: 9, Dir: netlink.XFRM_DIR_IN,
			Action: netlink.XFRM_POLICY_BLOCK}, false},
		{"what is sent", netlink.XfrmPolicy{Src: all, Dst: host("10.77.0.9"), Dir: netlink.XFRM_DIR_OUT, Action: netlink.XFRM_POLICY_BLOCK}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j.t = t
			change := func(f func(*netlink.XfrmPolicy) error) {
				t.Helper()
				if err := lab.A.NS.Do(func() error { return f(&tc.policy) }); err != nil {
					t.Fatal(err)
				}
			}
			ports := func(want int) {
				t.Helper()
				eventually(t, "the program", func() bool { return dp.Info().Programs[0].Ports == want })
			}
			ports(1)
			change(netlink.XfrmPolicyAdd)
			if tc.bars {
				ports(0)
			}
			before, seen := received(t, dp).Frames, programCounters(dp).Total()
			for _, src := range []string{"10.77.0.2", "10.77.0.3"} {
				f := j.flow(false)
				f.Src = netip.AddrPortFrom(netip.MustParseAddr(src), 777)
				j.both(f, tc.name+" from "+src)
			}
			eventually(t, "the frames", func() bool { return programCounters(dp).Total() >= seen+4 })
			change(netlink.XfrmPolicyDel)
			ports(1)
			j.same(tc.name, true)
			if n := received(t, dp).Frames - before; tc.bars && n != 1 {
				t.Errorf("%d frames came through AF_XDP, want the mark alone", n)
			}
		})
	}
}

// vrfRoutes puts a device into a VRF, for kernels without.
type vrfRoutes struct {
	routing
	mu  sync.Mutex
	vrf map[int]int
}

func (r *vrfRoutes) VRF(ifindex int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.vrf[ifindex]
}

// TestVRFIsTheKernels: what arrives in a VRF is the kernel's, and comes through AF_XDP again when the device has left it.
func TestVRFIsTheKernels(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	routes := &vrfRoutes{vrf: map[int]int{lab.A.If.Index(): 99}}
	dp, err := openWith(Options{NetNS: lab.A.NS.FD(), Receive: []string{lab.A.If.Name()}, Logger: testLogger(t)},
		func(dp *Datapath) (routing, error) {
			table, err := route.Open(route.Options{NetNS: dp.ns.FD()})
			routes.routing = table
			return routes, err
		})
	if err != nil {
		t.Fatal(err)
	}
	defer dp.Close()
	j := newJudge(t, lab, dp)
	j.same("in the VRF", true)
	if r := received(t, dp); r.Frames != 0 || dp.Info().Programs[0].Counters[bpf.ReasonRedirected] != 0 {
		t.Errorf("frames of a VRF came through AF_XDP: %+v", r)
	}
	routes.mu.Lock()
	routes.vrf = nil
	routes.mu.Unlock()
	dp.hub.Refresh()
	j.same("out of it", true)
	if r := received(t, dp); r.Delivered != 1 {
		t.Errorf("%d datagrams came through AF_XDP", r.Delivered)
	}
}
