// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestInherited: a socket that is bound already is used as it is, with what has arrived for it, and its port is free when
// the endpoint closes. One with another address is refused, and closed.
func TestInherited(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{})
	for _, local := range []string{"10.77.0.1:7500", "[fd77::1]:7500", "0.0.0.0:7501"} {
		at := netip.MustParseAddrPort(local)
		fd, err := bindForeign(t, lab, local, false)
		if err != nil {
			t.Fatal(err)
		}
		given := 0
		h.Inherited = func(wanted netip.AddrPort) int {
			if wanted != at {
				return -1
			}
			given++
			return fd
		}
		to, options := at, testenv.UDPSenderOptions{}
		if at.Addr().IsUnspecified() {
			to = netip.AddrPortFrom(lab.A.IPv4(), at.Port())
		}
		if at.Addr().Is6() {
			options.Source = netip.MustParseAddrPort("[::]:0")
		}
		if err := testenv.NewUDPSenderT(t, lab.B.NS, options).Send(to, []byte("before")); err != nil {
			t.Fatal(err)
		}
		p, status := tryBind(t, h, wsk.BindRequest{Local: at})
		mustSucceed(t, local, status)
		if p.wait(1); given != 1 {
			t.Errorf("%s: asked %d times", local, given)
		}
		p.close()
		h.Inherited = nil
		p, status = tryBind(t, h, wsk.BindRequest{Local: at})
		mustSucceed(t, local+" again", status)
		p.close()
	}
	fd, err := bindForeign(t, lab, "10.77.0.1:7502", false)
	if err != nil {
		t.Fatal(err)
	}
	h.Inherited = func(netip.AddrPort) int { return fd }
	if _, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort("10.77.0.1:7503")}); status == wsk.STATUS_SUCCESS {
		t.Error("a socket with another address was taken")
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
		t.Error("it is still open")
	}
}
