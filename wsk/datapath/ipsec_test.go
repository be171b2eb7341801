// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bytes"
	"net"
	"net/netip"
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
