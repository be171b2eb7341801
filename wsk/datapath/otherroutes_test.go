// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// counted counts the look-ups of ways.
type counted struct {
	*route.Table
	n atomic.Int64
}

func (c *counted) ResolveStanding(ctx context.Context, q route.Query, on *route.Standing) (route.Hop, error) {
	c.n.Add(1)
	return c.Table.ResolveStanding(ctx, q, on)
}

func (c *counted) Resolve(ctx context.Context, q route.Query) (route.Hop, error) {
	c.n.Add(1)
	return c.Table.Resolve(ctx, q)
}

// TestOtherRoutesChange has routes come and go that lead elsewhere: a sender looks for its way no more than before. That
// its own route changes it notices.
func TestOtherRoutesChange(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{Shape: testenv.Routed}, Options{})
	routes := &counted{Table: c.dp.routes.(*route.Table)}
	c.dp.setRoutes(routes)
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	list, err := h.RouteGet(lab.B.IPv4().AsSlice())
	if err != nil {
		t.Fatal(err)
	}
	via := func(dst string) *netlink.Route {
		_, p, _ := net.ParseCIDR(dst)
		return &netlink.Route{LinkIndex: list[0].LinkIndex, Gw: list[0].Gw, Dst: p}
	}
	at := netip.AddrPortFrom(lab.B.IPv4(), 7011)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, at, testenv.UDPReceiverOptions{})
	s := c.socket("0.0.0.0:0")
	sent := 0
	send := func() {
		t.Helper()
		mustSucceed(t, "SendTo", sendOne(t, s, whole(pattern(18)), sockaddr(lab.B.IPv4(), 7011), nil))
		sent++
	}
	other := via("198.51.100.0/24")
	change := func(do func(*netlink.Route) error) {
		t.Helper()
		before := routes.Generation()
		if err := do(other); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, waitLimit, "the change to be known", func() bool { return routes.Generation() > before })
		send()
	}
	const changes = 20
	testenv.Eventually(t, waitLimit, "changes without look-ups", func() bool {
		before := routes.n.Load()
		for range changes / 2 {
			change(h.RouteAdd)
			change(h.RouteDel)
		}
		return routes.n.Load() == before
	})
	if _, err := receiver.Wait(testenv.Context(t, waitLimit), sent); err != nil {
		t.Error(err)
	}

	df := c.socket("0.0.0.0:0")
	option(t, df, wsk.IPPROTO_IP, wsk.IP_DONTFRAGMENT, uint32(1))
	mustSucceed(t, "SendTo", sendOne(t, df, whole(pattern(1440)), sockaddr(lab.B.IPv4(), 7011), nil))
	own := via(lab.B.IPv4().String() + "/32")
	own.MTU = 1300
	if err := h.RouteAdd(own); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, waitLimit, "the MTU of the new route", func() bool {
		return sendOne(t, df, whole(pattern(1440)), sockaddr(lab.B.IPv4(), 7011), nil) == wsk.STATUS_INVALID_BUFFER_SIZE
	})
}

// TestRoutesAsked sends to an address of the host: which way that goes is asked of the kernel, and counted.
func TestRoutesAsked(t *testing.T) {
	lab, c := newLab(t, testenv.Topology{}, Options{})
	// Until it has read the tables, the mirror says "not ready" of everything.
	testenv.Eventually(t, waitLimit, "the kernel to be asked", func() bool {
		sendOne(t, c.socket("0.0.0.0:0"), whole(pattern(18)), sockaddr(lab.A.IPv4(), 7012), nil)
		return c.dp.Info().RoutesAsked["local"] > 0
	})
}
