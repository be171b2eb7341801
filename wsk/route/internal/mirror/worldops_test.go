// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// object adds, replaces or removes a next hop object: 1 to 6 are single ones, 7 to 9 are groups.
func (w *world) object() error {
	id := uint32(1 + w.rnd.IntN(9))
	body := wire{unix.AF_UNSPEC, 0, unix.RTPROT_STATIC, 0}.u32(0).attr32(nhaID, id)
	if w.oneIn(4) {
		return w.talk.do(unix.RTM_DELNEXTHOP, 0, wire{0, 0, 0, 0}.u32(0).attr32(nhaID, id), nil)
	}
	if id > 6 {
		var members wire
		for range 1 + w.rnd.IntN(2) {
			members = members.u32(uint32(1 + w.rnd.IntN(6))).u32(0)
		}
		body = body.attr(nhaGroup, members)
	} else {
		six := id%2 == 0
		i := w.rnd.IntN(worldDevices)
		body[0] = familyOf(six)
		if w.oneIn(10) {
			body = body.attr(nhaBlackhole, nil)
		} else {
			body = body.attr32(nhaOIF, uint32(w.index[i]))
			if !w.oneIn(4) {
				body = body.addr(nhaGateway, w.gateway(i, six))
			}
		}
	}
	return w.talk.do(unix.RTM_NEWNEXTHOP, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body, nil)
}

// addr adds or removes an address.
func (w *world) addr() error {
	i := w.rnd.IntN(worldDevices)
	p := netip.PrefixFrom(w.host4(i, w.rnd.IntN(2), w.own()), pick(w.rnd, 24, 24, 24, 28, 32))
	if w.oneIn(2) {
		p = netip.PrefixFrom(w.host6(i, w.rnd.IntN(2), 1+w.rnd.IntN(2)), pick(w.rnd, 64, 128))
	}
	if w.oneIn(2) {
		return w.address(i, p, pick(w.rnd, uint8(unix.RT_SCOPE_UNIVERSE), unix.RT_SCOPE_UNIVERSE, unix.RT_SCOPE_LINK))
	}
	if w.oneIn(2) { // the first, and perhaps the only one
		p = netip.PrefixFrom(w.host4(i, 0, 1), 24)
	}
	body := wire{familyOf(p.Addr().Is6()), uint8(p.Bits()), 0, 0}.u32(uint32(w.index[i]))
	return w.talk.do(unix.RTM_DELADDR, 0, body.addr(unix.IFA_LOCAL, p.Addr()), nil)
}

// own is the last byte of an address of the host.
func (w *world) own() int {
	if w.apart {
		return pick(w.rnd, 1, 21, 22)
	}
	return 1 + w.rnd.IntN(3)
}

func (w *world) linkOf(i int) (netlink.Link, error) { return w.h.LinkByName(w.name(i)) }

// link sets a device down or up.
func (w *world) link() error {
	l, err := w.linkOf(w.rnd.IntN(worldDevices))
	switch {
	case err != nil:
		return err
	case l.Attrs().Flags&net.FlagUp != 0:
		return w.h.LinkSetDown(l)
	}
	return w.h.LinkSetUp(l)
}

// carrier sets the other end down or up.
func (w *world) carrier() error {
	return w.farUp(w.rnd.IntN(worldDevices), !w.oneIn(3))
}

// device deletes a device, or makes it again.
func (w *world) device() error {
	i := w.rnd.IntN(worldDevices)
	if w.index[i] == 0 {
		return w.addDevice(i)
	}
	l, err := w.linkOf(i)
	if err != nil {
		return err
	}
	w.index[i] = 0
	return w.h.LinkDel(l)
}

func (w *world) mtu() error {
	l, err := w.linkOf(w.rnd.IntN(worldDevices))
	if err != nil {
		return err
	}
	return w.h.LinkSetMTU(l, pick(w.rnd, 1500, 1500, 1400, 1300, 1280, 9000, 9000, 1000, 60))
}

// neighbour gives an IPv6 gateway a state.
func (w *world) neighbour() error {
	i := w.rnd.IntN(worldDevices)
	body := wire{unix.AF_INET6, 0, 0, 0}.u32(uint32(w.index[i])).u8(0, 0, 0, 0)
	state := pick(w.rnd, uint8(unix.NUD_FAILED), unix.NUD_PERMANENT, unix.NUD_STALE)
	body[8] = unix.NUD_STALE
	body = body.addr(unix.NDA_DST, w.gateway(i, true)).attr(unix.NDA_LLADDR, []byte{2, 0, 0, 0, 0, 9})
	err := w.talk.do(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body, nil)
	if state == unix.NUD_STALE || err != nil {
		return err
	}
	// From STALE to FAILED is announced, as the way there by itself is; from nothing to FAILED, as only a user can, is
	// not.
	body[8] = state
	return w.talk.do(unix.RTM_NEWNEIGH, unix.NLM_F_REPLACE, body, nil)
}

func (w *world) sysctl() error {
	value := pick(w.rnd, "0", "1")
	key := pick(w.rnd, "ipv6/conf/all/forwarding", "ipv4/conf/all/ignore_routes_with_linkdown", "ipv4/conf/all/promote_secondaries",
		"ipv6/conf/d1/ignore_routes_with_linkdown", "ipv6/conf/d2/disable_ipv6")
	return w.near.Sysctl(key, value)
}

// query is a question at random.
func (w *world) query() Query {
	six := w.oneIn(2)
	q := Query{Dst: w.host(six)}
	if w.oneIn(12) {
		q.Dst = pick(w.rnd, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::2"))
		six = q.Dst.Is6()
	}
	if w.oneIn(3) {
		i := w.rnd.IntN(worldDevices)
		q.Src = w.host4(i, 0, 1)
		if six {
			q.Src = w.host6(i, 0, 1)
		}
	}
	if w.oneIn(4) {
		q.Interface = w.index[w.rnd.IntN(worldDevices)]
	}
	if w.oneIn(5) {
		q.Mark = uint32(w.rnd.IntN(4))
	}
	if w.oneIn(8) {
		q.TOS = pick(w.rnd, uint8(4), 8, 16)
	}
	if w.oneIn(4) {
		q.SrcPort, q.DstPort = uint16(999+w.rnd.IntN(4)), uint16(999+w.rnd.IntN(4))
	}
	return q
}
