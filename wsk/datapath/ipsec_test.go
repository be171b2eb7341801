// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestIPsecPolicies: what a policy blocks is refused as the kernel's socket is, what one encrypts never leaves in clear, and when the
// policy goes, so does the detour.
func TestIPsecPolicies(t *testing.T) {
	for _, to := range []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")} {
		lab, c := newLab(t, testenv.Topology{}, Options{})
		capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
		bind := "0.0.0.0:0"
		if to.Is6() {
			bind = "[::]:0"
		}
		s := c.socket(bind)
		mustSucceed(t, "SendTo without policies", sendOne(t, s, whole(pattern(10)), sockaddr(to, 7006), nil))
		var h *netlink.Handle
		err := lab.A.NS.Do(func() (err error) { h, err = netlink.NewHandle(unix.NETLINK_XFRM); return err })
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		all := &net.IPNet{IP: to.AsSlice(), Mask: net.CIDRMask(to.BitLen(), to.BitLen())}
		none := &net.IPNet{IP: make(net.IP, to.BitLen()/8), Mask: net.CIDRMask(0, to.BitLen())}
		policy := &netlink.XfrmPolicy{Src: none, Dst: all, Dir: netlink.XFRM_DIR_OUT, Action: netlink.XFRM_POLICY_BLOCK}
		if err := h.XfrmPolicyAdd(policy); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, waitLimit, "the policy to be heeded", func() bool {
			return sendOne(t, s, whole(pattern(11)), sockaddr(to, 7006), nil) == wsk.STATUS_ACCESS_DENIED
		})
		policy.Action = netlink.XFRM_POLICY_ALLOW
		policy.Tmpls = []netlink.XfrmPolicyTmpl{{
			Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT, Dst: none.IP, Src: none.IP,
		}}
		if err := h.XfrmPolicyUpdate(policy); err != nil {
			t.Fatal(err)
		}
		secret := bytes.Repeat([]byte("secret"), 20)
		for range 20 {
			sendOne(t, s, whole(secret), sockaddr(to, 7006), nil)
		}
		if err := h.XfrmPolicyDel(policy); err != nil {
			t.Fatal(err)
		}
		last := []byte("the last one, in clear")
		testenv.Eventually(t, waitLimit, "the way without policies", func() bool {
			return sendOne(t, s, whole(last), sockaddr(to, 7006), nil) == wsk.STATUS_SUCCESS
		})
		if _, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool { return bytes.Contains(f.Data, last) }); err != nil {
			t.Fatal(err)
		}
		for _, f := range capture.Frames() {
			if bytes.Contains(f.Data, secret) {
				t.Fatalf("%v: what the host encrypts has left in clear", to)
			}
		}
	}
}

// TestPoliciesUnreadable: a process that may not read the policies (no CAP_NET_ADMIN) leaks nothing that they select, for it leaves
// everything to the kernel unless it is told that there are none.
func TestPoliciesUnreadable(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{})
	var h *netlink.Handle
	if err := lab.A.NS.Do(func() (err error) { h, err = netlink.NewHandle(unix.NETLINK_XFRM); return err }); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	other := netip.MustParseAddr("10.77.0.3")
	if err := lab.B.If.AddAddr(netip.PrefixFrom(other, 24)); err != nil {
		t.Fatal(err)
	}
	host := func(a netip.Addr) *net.IPNet { return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)} }
	any4 := &net.IPNet{IP: make(net.IP, 4), Mask: net.CIDRMask(0, 32)}
	if err := h.XfrmPolicyAdd(&netlink.XfrmPolicy{
		Src: any4, Dst: host(lab.B.IPv4()), Dir: netlink.XFRM_DIR_OUT,
		Tmpls: []netlink.XfrmPolicyTmpl{{Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT, Dst: any4.IP, Src: any4.IP}},
	}); err != nil {
		t.Fatal(err)
	}
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	secret, plain := bytes.Repeat([]byte("secret"), 20), []byte("in clear")
	for _, assume := range []bool{false, true} {
		opts := Options{NetNS: lab.A.NS.FD(), Logger: testLogger(t), AssumeNoIPsec: assume}
		var dp *Datapath
		open := func(o Options) (err error) {
			return lab.A.NS.Do(func() error { // on a thread of its own
				regain, err := testenv.DropCapabilities(unix.CAP_NET_ADMIN)
				if err != nil {
					return err
				}
				dp, err = Open(o)
				return errors.Join(err, regain())
			})
		}
		named := opts
		named.Interfaces = []string{"wsk0"}
		switch err := open(named); {
		case err == nil && !assume:
			t.Error("Open with Interfaces succeeds where nothing would go through AF_XDP")
		case err != nil && assume:
			t.Error(err)
		case err != nil && !strings.Contains(err.Error(), "AssumeNoIPsec"):
			t.Errorf("Open does not say what to do: %v", err)
		case err == nil:
			dp.Close()
		}
		if err := open(opts); err != nil {
			t.Fatal(err)
		}
		s := newClient(t, dp).socket("0.0.0.0:0")
		mustSucceed(t, "to where no policy leads", sendOne(t, s, whole(plain), sockaddr(other, 7006), nil))
		if !assume {
			sendOne(t, s, whole(secret), sockaddr(lab.B.IPv4(), 7006), nil) // the kernel's own socket is refused, or waits for a key
		}
		slow := dp.Info().SlowReasons["ipsec-unknown"]
		if assume == (slow != 0) {
			t.Errorf("AssumeNoIPsec %v: %d ways through the kernel's stack", assume, slow)
		}
		if _, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool { return bytes.Contains(f.Data, plain) }); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range capture.Frames() {
		if bytes.Contains(f.Data, secret) {
			t.Error("what the host encrypts has left in clear")
		}
	}
}
