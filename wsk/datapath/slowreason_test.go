// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestSlowReasons: what AF_XDP does not carry goes through the kernel's stack, counted by the word for the reason, and arrives.
func TestSlowReasons(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	s := c.socket("0.0.0.0:0")
	want := make(map[string]uint64)
	send := func(why string, to netip.AddrPort, host *testenv.Host) {
		t.Helper()
		var r *testenv.UDPReceiver
		if host != nil {
			local := netip.AddrPortFrom(netip.IPv4Unspecified(), to.Port())
			r = testenv.NewUDPReceiverT(t, host.NS, local, testenv.UDPReceiverOptions{})
		}
		mustSucceed(t, why, sendOne(t, s, whole([]byte(why)), wsk.NewSockaddr(to), nil))
		if r != nil {
			if got, err := r.Wait(testenv.Context(t, waitLimit), 1); err != nil || string(got[0].Payload) != why {
				t.Errorf("%s: %v, %v", why, got, err)
			}
		}
		if why != "" {
			want[why]++
		}
		info, all := c.dp.Info(), uint64(0)
		for reason, n := range info.SlowReasons {
			all += n
			if want[reason] == 0 || n < want[reason] {
				t.Errorf("%s: %d ways because of %q, want %d or more", why, n, reason, want[reason])
			}
			want[reason] = n // a way is looked for again when the routes change meanwhile
		}
		if len(info.SlowReasons) != len(want) || info.SlowPaths != all {
			t.Errorf("%s: %d ways through the kernel's stack, %v; want %v", why, info.SlowPaths, info.SlowReasons, want)
		}
	}
	send("", netip.AddrPortFrom(lab.B.IPv4(), 7020), lab.B)
	send("local", netip.AddrPortFrom(lab.A.IPv4(), 7021), lab.A)
	addIFB(t, lab.A, "10.78.0.1/24")
	eventually(t, "the way to be known", func() bool {
		d, ok := c.dp.routes.DeviceByName("ifb7")
		return ok && d.Up
	})
	send("kind", netip.MustParseAddrPort("10.78.0.2:7022"), nil) // which drops it
	if err := lab.A.If.SetMTU(65535); err != nil {               // more than 18 chunks of 2048 bytes hold
		t.Fatal(err)
	}
	testenv.Eventually(t, waitLimit, "the MTU to be known", func() bool {
		d, _ := c.dp.routes.DeviceByName(lab.A.If.Name())
		return d.MTU == 65535
	})
	send("mtu", netip.AddrPortFrom(lab.B.IPv4(), 7023), lab.B)
}

// addIFB makes an ifb, a kind of device that is not known to carry frames of AF_XDP.
func addIFB(t *testing.T, h *testenv.Host, addr string) {
	t.Helper()
	nl, err := h.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "ifb7"
	if err := nl.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}); err != nil {
		t.Fatal(err)
	}
	link, err := nl.LinkByName("ifb7")
	if err != nil {
		t.Fatal(err)
	}
	a, err := netlink.ParseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(nl.AddrAdd(link, a), nl.LinkSetUp(link)); err != nil {
		t.Fatal(err)
	}
}

// TestOpenRefusesWhatCannotSend: Open with Options.Interfaces fails where AF_XDP would send nothing.
func TestOpenRefusesWhatCannotSend(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	addIFB(t, lab.A, "10.78.0.1/24")
	if err := lab.A.If.SetMTU(65535); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		lab.A.If.Name(): "does not fit", "ifb7": "ifb7 (ifb)", "none0": "no such interface",
	} {
		dp, err := Open(Options{NetNS: lab.A.NS.FD(), Interfaces: []string{name}, Socket: xdp.Options{ChunkSize: 2048}})
		if err == nil {
			dp.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
