// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A socket that can't be read any more ends the receiver, which says so: what comes after that is not missing for lack of
// senders.
func TestSocketFails(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{})
	ns, local := netns.Borrow(l.B.NS.FD()), netip.AddrPortFrom(l.B.IPv4(), 9000)
	sink, err := NewSink(64, VerifyPayload)
	if err != nil {
		t.Fatal(err)
	}
	e, err := OpenUDP(ns, local, sink)
	if err != nil {
		t.Fatal(err)
	}
	control, err := Listen(ns, local, sink, e, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	// A socket that asks for ICMP errors fails with the answer of a closed port.
	u := e.(*udpEngine)
	err = u.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.conn.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(l.A.IPv4(), 9)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	Wait(ctx, Until{OnSecond: func(time.Duration) {}}, sink, control)
	if ctx.Err() != nil {
		t.Error("it goes on and reads nothing")
	}
	if v := conclusion(sink, control).Verdict; v.OK || v.ID != "receiver_failed" || !strings.Contains(v.Text, "connection refused") {
		t.Errorf("%+v", v)
	}
	if err := e.Close(); err == nil || !strings.Contains(err.Error(), "recvmmsg") {
		t.Errorf("closed with %v", err)
	}
}

// A receiver that only counts can't tell a peer what became of its run, and says so instead of calling all of it lost.
func TestCountingAnswersNoPeer(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{})
	local := netip.AddrPortFrom(l.B.IPv4(), 9000)
	sink, err := NewSink(64, VerifyNothing)
	if err != nil {
		t.Fatal(err)
	}
	e := openEngine(t, t.Context(), "udp", l, local, sink)
	control, err := Listen(netns.Borrow(l.B.NS.FD()), local, sink, e, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	c, err := announce(testenv.Context(t, time.Minute), l, local, 7)
	if err == nil {
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "it only counts packets (--verify none)") {
		t.Errorf("%v", err)
	}
}
