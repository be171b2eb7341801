// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/send"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestWords(t *testing.T) {
	for word, want := range map[string]Require{"afxdp": RequireAFXDP, "zerocopy": RequireZeroCopy} {
		var r Require
		if err := r.Set(word); err != nil || r != want || r.String() != word {
			t.Errorf("%q: %v, %v", word, r, err)
		}
	}
	for word, want := range map[string]xdp.Mode{"auto": xdp.ModeAuto, "copy": xdp.ModeCopy, "zerocopy": xdp.ModeZeroCopy} {
		var m Mode
		if err := m.Set(word); err != nil || xdp.Mode(m) != want || m.String() != word {
			t.Errorf("%q: %v, %v", word, m, err)
		}
	}
	var r Require
	var m Mode
	if r.Set("") == nil || r.Set("AFXDP") == nil || m.Set("") == nil || m.Set("zero-copy") == nil {
		t.Error("a word that there is not is taken")
	}
}

func TestSurvey(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	l := testenv.NewLabT(t, testenv.Topology{Shape: testenv.Routed})
	ctx := testenv.Context(t, time.Minute)
	survey := func(dst, iface string) (Way, error) {
		return Survey(ctx, l.A.NS.FD(), Query{Destination: netip.MustParseAddr(dst), Interface: iface})
	}
	w, err := survey(l.B.IPv4().String(), "")
	if err != nil {
		t.Fatal(err)
	}
	if w.DeviceName() != "wsk0" || w.Source != l.A.IPv4() || w.OnLink || !strings.Contains(w.NextHop(), "(gateway) (not resolved yet") ||
		!w.NeighbourNeeded || w.SlowReason != "" || w.MTU != 1500 {
		t.Errorf("%+v, next hop %s", w, w.NextHop())
	}
	if w, err = survey(l.A.IPv6().String(), ""); err != nil || w.SlowReason == "" || w.NextHop() != "this host" {
		t.Errorf("own address: %+v, %v", w, err)
	}
	if w, err = survey("224.0.0.5", "wsk0"); err != nil || w.NeighbourNeeded || w.NextHop() != "the group on the link" {
		t.Errorf("group: %+v, %v", w, err)
	}
	if _, err = survey("192.0.2.1", "nowhere0"); !errors.Is(err, ErrNoInterface) {
		t.Errorf("no interface: %v", err)
	}
	if err := l.A.If.DeleteRoute(netip.Prefix{}, l.Gateway(l.A, l.B.IPv4())); err != nil {
		t.Fatal(err)
	}
	if _, err = survey(l.B.IPv4().String(), ""); err == nil || !strings.Contains(err.Error(), "ip route get") {
		t.Errorf("no route: %v", err)
	}
	if w, err = survey("192.0.2.1", ""); err == nil {
		t.Errorf("no route: %+v", w)
	}
}

// The bound on the MTU is that of the datapath: at it frames leave over AF_XDP, above it where the kernel has frames of several chunks.
// What does not is known beforehand.
func TestLargestMTU(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	spare := testenv.NewLabT(t, testenv.Topology{})
	several := !errors.Is(spare.A.NS.Do(func() error { return xdp.ProbeMultiBuffer(spare.A.If.Name(), 0) }), xdp.ErrNotSupported)
	for _, mtu := range []int{LargestMTU, LargestMTU + 1, 9000} {
		l := testenv.NewLabT(t, testenv.Topology{MTU: mtu})
		ctx := testenv.Context(t, time.Minute)
		to := netip.AddrPortFrom(l.B.IPv4(), 9000)
		s, err := Open(ctx, Options{NetNS: l.A.NS.FD(), Destination: to, Mode: xdp.ModeCopy})
		if err != nil {
			t.Fatal(err)
		}
		fits := mtu <= LargestMTU || several
		if (s.SlowErr == nil) != fits {
			t.Errorf("MTU %d: slow path: %v", mtu, s.SlowErr)
		}
		send.Run(ctx, send.Config{
			Socket: s.Sockets[0], Remote: s.Remote(to.Port(), to.Addr()), Payload: make([]byte, mtu-28), Count: 1, Timeout: time.Minute,
		}, func(r send.Result) {
			if r.NTSTATUS() != wsk.STATUS_SUCCESS {
				t.Errorf("MTU %d: %s", mtu, r.Status)
			}
		})
		if info := s.Info(); (info.SlowSent == 0) != fits || s.SlowWarning(info) != "" {
			t.Errorf("MTU %d: %d sends over the slow path, warning %q", mtu, info.SlowSent, s.SlowWarning(info))
		}
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}

// What can't be required is refused with its exit code, and nothing stays open (the package fails on leaks).
func TestRequireIsKept(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	l := testenv.NewLabT(t, testenv.Topology{})
	ctx := testenv.Context(t, time.Minute)
	own, far := netip.AddrPortFrom(l.A.IPv4(), 9), netip.AddrPortFrom(l.B.IPv4(), 9)
	nowhere := netip.MustParseAddrPort("192.0.2.1:9")
	for _, c := range []struct {
		to      netip.AddrPort
		require Require
		mode    xdp.Mode
		ok      bool
	}{
		{far, RequireAFXDP, xdp.ModeAuto, true},
		{far, RequireNothing, xdp.ModeZeroCopy, false},
		{far, RequireZeroCopy, xdp.ModeAuto, false},
		{own, RequireNothing, xdp.ModeAuto, true},
		{own, RequireAFXDP, xdp.ModeAuto, false},
		{nowhere, RequireNothing, xdp.ModeAuto, true},
		{nowhere, RequireAFXDP, xdp.ModeAuto, false},
	} {
		s, err := Open(ctx, Options{NetNS: l.A.NS.FD(), Destination: c.to, Require: c.require, Mode: c.mode, Sockets: 2})
		if (err == nil) != c.ok || !c.ok && exit.Code(err) != exit.NotPossible {
			t.Errorf("%v, require %v, mode %v: %v", c.to, c.require, c.mode, err)
		}
		if err != nil {
			continue
		}
		if len(s.Sockets) != 2 || s.Locals[0].Port() == s.Locals[1].Port() || s.Locals[0].Port() == 0 {
			t.Errorf("%v: bound to %v", c.to, s.Locals)
		}
		if loud := strings.Join(s.Warnings(), "\n"); c.to == own && !strings.Contains(loud, "SLOW PATH") {
			t.Errorf("%v: warnings %q", c.to, loud)
		}
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
