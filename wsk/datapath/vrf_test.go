// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// within runs f while every socket that this process makes is bound to an interface, as `ip vrf exec` does it: by a program of the
// control group that the process is in.
func within(t *testing.T, ifindex int, f func()) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root := t.TempDir()
	must(unix.Mount("none", root, "cgroup2", 0, ""))
	defer unix.Unmount(root, unix.MNT_DETACH)
	group := filepath.Join(root, fmt.Sprintf("wsk-test-%d", os.Getpid()))
	must(os.Mkdir(group, 0o755))
	defer os.Remove(group)
	const boundDevice = 0 // offset in struct bpf_sock
	var program *ebpf.Program
	must(memlock.Lift(func() (err error) { // Linux 5.10 counts programs against the limit
		program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: ebpf.CGroupSock, AttachType: ebpf.AttachCGroupInetSockCreate, License: "GPL",
			Instructions: asm.Instructions{
				asm.Mov.Imm(asm.R2, int32(ifindex)), asm.StoreMem(asm.R1, boundDevice, asm.R2, asm.Word), asm.Mov.Imm(asm.R0, 1), asm.Return(),
			},
		})
		return err
	}))
	defer program.Close()
	l, err := link.AttachCgroup(link.CgroupOptions{Path: group, Attach: ebpf.AttachCGroupInetSockCreate, Program: program})
	must(err)
	defer l.Close()
	before := currentGroup(t, root)
	enter := func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, os.Getpid()), 0)
	}
	must(enter(group))
	defer func() { must(enter(before)) }()
	f()
}

// currentGroup is the directory of the control group that this process is in.
func currentGroup(t *testing.T, root string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Join(root, path)
		}
	}
	t.Fatal("no control group")
	return ""
}

// secondLink is a lab with one more link between the hosts, alt0 and alt1, and the address 10.99.0.9 of B, to which the route by
// the first link is the better one. With a VRF the second link is in it.
func secondLink(t *testing.T, vrf bool) (lab *testenv.Lab, bound int) {
	t.Helper()
	lab = testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h, err := lab.A.NS.Netlink()
	must(err)
	t.Cleanup(h.Close)
	must(h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "alt0"}, PeerName: "alt1", PeerNamespace: netlink.NsFd(lab.B.NS.FD())}))
	near, err := testenv.FindIface(lab.A.NS, "alt0")
	must(err)
	far, err := testenv.FindIface(lab.B.NS, "alt1")
	must(err)
	table, bound := unix.RT_TABLE_MAIN, near.Index()
	if vrf {
		table = 77
		red := &netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "red"}, Table: uint32(table)}
		if err := h.LinkAdd(red); err != nil {
			if os.Getenv("WSKXDP_ALL_KINDS") != "" {
				t.Fatalf("%v (this kernel is one that is to have every kind)", err)
			}
			t.Skipf("vrf: %v: make test-vm runs this in guests", err)
		}
		must(h.LinkSetUp(red))
		l, err := h.LinkByName("alt0")
		must(err)
		must(h.LinkSetMaster(l, red))
		bound = red.Attrs().Index
	}
	l, err := h.LinkByName("alt0")
	must(err)
	must(h.LinkSetUp(l)) // without waiting: it has a carrier with the other end alone
	must(far.SetUp())
	must(near.SetUp())
	must(near.AddAddr(netip.MustParsePrefix("10.78.0.1/24")))
	must(far.AddAddr(netip.MustParsePrefix("10.78.0.2/24")))
	must(near.SetNeighbour(netip.MustParseAddr("10.78.0.2"), far.MAC()))
	must(lab.B.If.AddAddr(netip.MustParsePrefix("10.99.0.9/32")))
	to := &net.IPNet{IP: net.IPv4(10, 99, 0, 0).To4(), Mask: net.CIDRMask(16, 32)}
	must(h.RouteAdd(&netlink.Route{Dst: to, Gw: lab.B.IPv4().AsSlice(), LinkIndex: lab.A.If.Index(), Priority: 1}))
	must(h.RouteAdd(&netlink.Route{Dst: to, Gw: net.IPv4(10, 78, 0, 2), LinkIndex: near.Index(), Priority: 2, Table: table}))
	return lab, bound
}

// TestBoundByTheHost: what a program sends whose sockets the host binds, to an interface or to a VRF, leaves as the kernel's own does.
func TestBoundByTheHost(t *testing.T) {
	for name, vrf := range map[string]bool{"interface": false, "VRF": true} {
		t.Run(name, func(t *testing.T) {
			testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP)
			lab, bound := secondLink(t, vrf)
			to := netip.MustParseAddrPort("10.99.0.9:9000")
			r := testenv.NewUDPReceiverT(t, lab.B.NS, to, testenv.UDPReceiverOptions{})
			dp, err := Open(Options{NetNS: lab.A.NS.FD(), Logger: testLogger(t)})
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, dp)
			outside := c.socket("0.0.0.0:0")
			var inside *wsk.Socket
			var kernel *testenv.UDPSender
			within(t, bound, func() {
				inside = c.socket("0.0.0.0:0")
				kernel = testenv.NewUDPSenderT(t, lab.A.NS, testenv.UDPSenderOptions{})
			})
			if err := kernel.Send(to, []byte("kernel")); err != nil {
				t.Fatal(err)
			}
			mustSucceed(t, "send", sendOne(t, inside, whole([]byte("inside")), wsk.NewSockaddr(to), nil))
			mustSucceed(t, "send", sendOne(t, outside, whole([]byte("outside")), wsk.NewSockaddr(to), nil))
			got, err := r.Wait(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			from := map[string]netip.Addr{}
			for _, d := range got {
				from[string(d.Payload)] = d.Source.Addr()
			}
			if alt := netip.MustParseAddr("10.78.0.1"); from["kernel"] != alt || from["inside"] != alt || from["outside"] != lab.A.IPv4() {
				t.Errorf("%v", from)
			}
			if info := dp.Info(); info.SlowSent != 0 || frames(info) != 2 {
				t.Errorf("%d by the kernel's stack, %d frames: %v", info.SlowSent, frames(info), info.SlowReasons)
			}
		})
	}
}

// TestReceivedInAVRF: an interface that is received on and belongs to a VRF delivers to sockets in the VRF and outside what it delivers
// to the kernel's, whether those outside are to get it or not.
func TestReceivedInAVRF(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab, red := secondLink(t, true)
	dp := openDatapath(t, lab, Options{Receive: []string{"alt0"}})
	const wskOutside, hostOutside, wskInside, hostInside = 7310, 7311, 7312, 7313
	listen := func(port uint16) *testenv.UDPReceiver {
		return testenv.NewUDPReceiverT(t, lab.A.NS, netip.AddrPortFrom(netip.IPv4Unspecified(), port), testenv.UDPReceiverOptions{})
	}
	outside, kernelOutside := bind(t, dp, fmt.Sprintf("0.0.0.0:%d", wskOutside)), listen(hostOutside)
	var inside *port
	var kernelInside *testenv.UDPReceiver
	within(t, red, func() {
		inside, kernelInside = bind(t, dp, fmt.Sprintf("0.0.0.0:%d", wskInside)), listen(hostInside)
	})
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	for _, accept := range []string{"0", "1", "0"} {
		if err := lab.A.NS.Sysctl("ipv4/udp_l3mdev_accept", accept); err != nil {
			t.Fatal(err)
		}
		wanted := accept == "1"
		eventually(t, "the program", func() bool {
			dp.hub.Refresh()
			return dp.routes.ReceivesFromVRFs() == wanted
		})
		dp.hub.Refresh()
		before, kernelBefore := outside.count(), kernelOutside.Count()
		for _, port := range []uint16{wskOutside, hostOutside, wskInside, hostInside} {
			err := sender.Send(netip.AddrPortFrom(netip.MustParseAddr("10.78.0.1"), port), []byte("accept "+accept))
			if err != nil && !errors.Is(err, unix.ECONNREFUSED) {
				t.Fatal(err)
			}
		}
		inside.wait(1)
		if _, err := kernelInside.Wait(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		kernelInside.Reset()
		if wanted {
			eventually(t, "the datagrams outside", func() bool { return outside.count() > before && kernelOutside.Count() > kernelBefore })
		}
		if ours, theirs := outside.count()-before, kernelOutside.Count()-kernelBefore; uint64(ours) != theirs || (theirs == 1) != wanted {
			t.Errorf("udp_l3mdev_accept %s: %d outside, the kernel's socket got %d", accept, ours, theirs)
		}
	}
}
