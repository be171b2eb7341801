// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestRenewedLifetimes renews addresses, as router advertisements and DHCP do every few seconds: nothing is read for it.
// An address that is new, or other than it was, is.
func TestRenewedLifetimes(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	w := newWorld(t, testenv.Rand(t))
	c := newCaughtUp(t, newTalk(t, w.near))
	var readings atomic.Int64
	o := c.options()
	o.reading = func(table uint16) {
		if table == unix.RTM_GETADDR {
			readings.Add(1)
		}
	}
	openIn(t, w.near, o)
	set := func(p netip.Prefix, valid, preferred uint32) (read bool) {
		t.Helper()
		before := readings.Load()
		const flags = unix.IFA_F_NODAD
		body := wire{familyOf(p.Addr().Is6()), uint8(p.Bits()), flags, 0}.u32(uint32(w.index[0]))
		body = body.addr(unix.IFA_LOCAL, p.Addr()).addr(unix.IFA_ADDRESS, p.Addr())
		body = body.attr(unix.IFA_CACHEINFO, wire(nil).u32(preferred).u32(valid).u32(0).u32(0))
		must(t, w.talk.do(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body, nil))
		c.await()
		return readings.Load() > before
	}
	for name, p := range map[string]netip.Prefix{
		"IPv4": netip.PrefixFrom(w.host4(0, 1, 1), 24), "IPv6": netip.PrefixFrom(w.host6(0, 1, 1), 64),
	} {
		// The kernel may announce late that an address of IPv6 is there, and that it has become usable.
		before := readings.Load()
		set(p, 1000, 1000)
		testenv.Eventually(t, patience/4, name+": a new address to be read", func() bool { return readings.Load() > before })
		for _, life := range []uint32{2000, 1500} {
			testenv.Eventually(t, patience/4, name+": a life renewed without a reading", func() bool {
				return !set(p, life, life)
			})
		}
		before = readings.Load()
		set(p, 1500, 0)
		testenv.Eventually(t, patience/4, name+": a deprecated address to be read", func() bool { return readings.Load() > before })
	}
}
