// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestBoundAsTheKernel: a socket that is bound to a link-local address is bound to its interface, and takes no route through another,
// as the kernel's does not.
func TestBoundAsTheKernel(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	second, far, err := testenv.Connect(lab.A.NS, testenv.End{Name: "wsk2", Addrs: []netip.Prefix{netip.MustParsePrefix("fd78::1/64")}}, 0,
		lab.B.NS, testenv.End{Name: "wsk3", Addrs: []netip.Prefix{netip.MustParsePrefix("fd78::2/64")}}, 1500)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	to := netip.MustParseAddr("fd99::1")
	local := netip.MustParseAddr("fe80::a")
	must(far.AddAddr(netip.PrefixFrom(to, 128)))
	must(lab.A.If.AddAddr(netip.PrefixFrom(local, 64)))
	must(second.AddRoute(netip.PrefixFrom(to, 128), netip.MustParseAddr("fd78::2")))
	testenv.Eventually(t, waitLimit, "the address", func() bool {
		_, ok := c.dp.routes.AddressDevice(local)
		return ok
	})
	fd, err := lab.A.NS.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	must(err)
	defer unix.Close(fd)
	must(unix.Bind(fd, &unix.SockaddrInet6{Addr: local.As16(), ZoneId: uint32(lab.A.If.Index())}))
	kernel := func(port int) error {
		return unix.Sendto(fd, []byte("kernel"), 0, &unix.SockaddrInet6{Addr: to.As16(), Port: port})
	}
	s := c.socket(fmt.Sprintf("[%v%%%d]:0", local, lab.A.If.Index()))
	if err := kernel(7310); !errors.Is(err, unix.ENETUNREACH) {
		t.Fatalf("the kernel's socket: %v", err)
	}
	if status := sendOne(t, s, whole([]byte("wsk")), sockaddr(to, 7310), nil); status != wsk.STATUS_NETWORK_UNREACHABLE {
		t.Errorf("a route through another interface than the socket is bound to: %v", status)
	}
	// Not bound to any, everything goes there.
	mustSucceed(t, "a socket of no interface", sendOne(t, c.socket("[::]:0"), whole([]byte("free")), sockaddr(to, 7310), nil))
	must(lab.A.If.AddRoute(netip.PrefixFrom(to, 64), lab.B.IPv6()))
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	must(kernel(7311))
	mustSucceed(t, "a route through the interface", sendOne(t, s, whole([]byte("wsk")), sockaddr(to, 7311), nil))
	for range 2 {
		if _, err := capture.Wait(testenv.Context(t, waitLimit), testenv.IsUDP(7311)); err != nil {
			t.Fatal(err)
		}
	}
	ways := map[string]FlowInfo{}
	for _, f := range c.dp.Flows() {
		ways[fmt.Sprintf("%v %d", f.Local.Addr(), f.Remote.Port())] = f
	}
	bound, free := ways[fmt.Sprintf("%v%%%d 7311", local, lab.A.If.Index())], ways[":: 7310"]
	if bound.Interface != "wsk0" || bound.Slow != "" || free.Interface != "wsk2" {
		t.Errorf("ways: %+v", ways)
	}
}

// TestFlowsSayWhy: each destination says which way it takes, and why not AF_XDP.
func TestFlowsSayWhy(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	s := c.socket("0.0.0.0:0")
	far, own := lab.B.IPv4(), lab.A.IPv4()
	mustSucceed(t, "far", sendOne(t, s, whole([]byte("x")), sockaddr(far, 7), nil))
	mustSucceed(t, "own", sendOne(t, s, whole([]byte("x")), sockaddr(own, 7), nil))
	sendOne(t, s, whole([]byte("x")), sockaddr(netip.MustParseAddr("192.0.2.1"), 7), nil) // no route
	want := map[netip.Addr]string{far: "wsk0", own: "local", netip.MustParseAddr("192.0.2.1"): ""}
	flows := c.dp.Flows()
	for _, f := range flows {
		got := f.Interface + f.Slow
		if got != want[f.Remote.Addr()] || (f.Slow != "") != (f.Why != "") {
			t.Errorf("%+v, want %q", f, want[f.Remote.Addr()])
		}
	}
	if len(flows) != len(want) {
		t.Errorf("%d flows: %+v", len(flows), flows)
	}
}
