// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// world is a namespace whose routing changes at random.
type world struct {
	t         testing.TB
	rnd       *rand.Rand
	near, far *testenv.Namespace
	h, farH   *netlink.Handle
	talk      *talk
	index     [worldDevices]int // 0: deleted
	last      [worldDevices]int
	kinds     map[string][2]int // operations by name: accepted, refused
	// apart: no gateway is ever an address of the host.
	apart bool
}

const worldDevices = 5

func newWorld(t testing.TB, rnd *rand.Rand) *world {
	t.Helper()
	w := &world{t: t, rnd: rnd, near: testenv.NewNamespaceT(t), far: testenv.NewNamespaceT(t), kinds: map[string][2]int{}}
	var err error
	w.h, err = w.near.Netlink()
	must(t, err)
	w.farH, err = w.far.Netlink()
	must(t, err)
	w.talk = newTalk(t, w.near)
	for i := range worldDevices {
		w.addDevice(i)
	}
	return w
}

func (w *world) name(i int) string { return fmt.Sprintf("d%d", i) }

// addDevice makes a device, sometimes with the index that it had before.
func (w *world) addDevice(i int) error {
	attrs := netlink.LinkAttrs{Name: w.name(i)}
	if w.last[i] != 0 && w.rnd.IntN(2) == 0 {
		attrs.Index = w.last[i]
	}
	err := w.h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: w.name(i), PeerNamespace: netlink.NsFd(w.far.FD())})
	must(w.t, err)
	l, err := w.h.LinkByName(w.name(i))
	must(w.t, err)
	w.index[i], w.last[i] = l.Attrs().Index, l.Attrs().Index
	must(w.t, w.h.LinkSetUp(l))
	must(w.t, w.farUp(i, true))
	must(w.t, w.address(i, netip.PrefixFrom(w.host4(i, 0, 1), 24), 0))
	return w.address(i, netip.PrefixFrom(w.host6(i, 0, 1), 64), 0)
}

func (w *world) farUp(i int, up bool) error {
	l, err := w.farH.LinkByName(w.name(i))
	if err != nil {
		return err
	}
	if up {
		return w.farH.LinkSetUp(l)
	}
	return w.farH.LinkSetDown(l)
}

func (w *world) host4(i, j, k int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i), byte(j), byte(k)})
}

func (w *world) host6(i, j, k int) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfd, 0, 0, byte(i), 0, 0, 0, byte(j), 15: byte(k)})
}

func (w *world) host(six bool) netip.Addr {
	i, j, k := w.rnd.IntN(worldDevices+1), w.rnd.IntN(3), w.rnd.IntN(12)
	if six {
		return w.host6(i, j, k)
	}
	return w.host4(i, j, k)
}

func (w *world) prefix(six bool) netip.Prefix {
	bits := pick(w.rnd, 0, 8, 14, 16, 16, 22, 24, 24, 28, 31, 32)
	if six {
		bits = pick(w.rnd, 0, 16, 30, 32, 48, 64, 64, 124, 128)
	}
	return netip.PrefixFrom(w.host(six), bits).Masked()
}

// narrow is a prefix for what the mirror never answers, so that it answers most.
func (w *world) narrow(six bool) netip.Prefix {
	ip := w.host(six)
	return netip.PrefixFrom(ip, ip.BitLen()-w.rnd.IntN(4)).Masked()
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

func (w *world) oneIn(n int) bool { return w.rnd.IntN(n) == 0 }

func familyOf(six bool) uint8 {
	if six {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func (w *world) address(i int, p netip.Prefix, scope uint8) error {
	flags := uint8(0)
	if p.Addr().Is6() {
		flags = unix.IFA_F_NODAD
	}
	how := uint16(unix.NLM_F_CREATE)
	if w.oneIn(3) {
		how |= unix.NLM_F_REPLACE // renews one that is there
	}
	body := wire{familyOf(p.Addr().Is6()), uint8(p.Bits()), flags, scope}.u32(uint32(w.index[i]))
	return w.talk.do(unix.RTM_NEWADDR, how, body.addr(unix.IFA_LOCAL, p.Addr()).addr(unix.IFA_ADDRESS, p.Addr()), nil)
}

// do does something at random.
func (w *world) do() {
	ops := []struct {
		name   string
		weight int
		fn     func() error
	}{
		{"route", 60, w.route}, {"rule", 5, w.rule}, {"object", 6, w.object}, {"addr", 8, w.addr}, {"link", 5, w.link},
		{"carrier", 2, w.carrier}, {"device", 3, w.device}, {"mtu", 2, w.mtu}, {"neighbour", 3, w.neighbour}, {"sysctl", 1, w.sysctl},
	}
	sum := 0
	for _, op := range ops {
		sum += op.weight
	}
	n := w.rnd.IntN(sum)
	for _, op := range ops {
		if n -= op.weight; n < 0 {
			counts := w.kinds[op.name]
			if op.fn() == nil {
				counts[0]++
			} else {
				counts[1]++
			}
			w.kinds[op.name] = counts
			return
		}
	}
}

// mend makes a device usable again.
func (w *world) mend(i int) {
	if w.index[i] == 0 {
		must(w.t, w.addDevice(i))
		return
	}
	l, err := w.linkOf(i)
	must(w.t, err)
	if l.Attrs().MTU < 1280 {
		must(w.t, w.h.LinkSetMTU(l, 1500))
	}
	must(w.t, w.h.LinkSetUp(l))
	must(w.t, w.farUp(i, true))
	// Refused where it is there already.
	_ = w.address(i, netip.PrefixFrom(w.host4(i, 0, 1), 24), 0)
	_ = w.address(i, netip.PrefixFrom(w.host6(i, 0, 1), 64), 0)
}

// gateway is mostly one that can be reached directly.
func (w *world) gateway(i int, six bool) netip.Addr {
	switch {
	case six && w.oneIn(4):
		return netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(1 + w.rnd.IntN(4))})
	case six:
		return w.host6(i, 0, 2+w.rnd.IntN(3))
	case w.oneIn(12) && w.apart:
		return w.host4(w.rnd.IntN(worldDevices+1), w.rnd.IntN(3), 4+w.rnd.IntN(8))
	case w.oneIn(12):
		return w.host(false)
	}
	return w.host4(i, 0, 2+w.rnd.IntN(3))
}

// via appends device and gateway.
func (w *world) via(b wire, six bool) wire {
	i := w.rnd.IntN(worldDevices)
	b = b.attr32(unix.RTA_OIF, uint32(w.index[i]))
	switch {
	case w.oneIn(4):
	case !six && w.oneIn(12):
		v := binary.NativeEndian.AppendUint16(nil, unix.AF_INET6)
		b = b.attr(unix.RTA_VIA, append(v, w.gateway(i, true).AsSlice()...))
	default:
		b = b.addr(unix.RTA_GATEWAY, w.gateway(i, six))
	}
	return b
}

// route adds, replaces or removes one.
func (w *world) route() error {
	six := w.oneIn(2)
	p := w.prefix(six)
	table := pick(w.rnd, uint32(unix.RT_TABLE_MAIN), unix.RT_TABLE_MAIN, unix.RT_TABLE_MAIN, 100, 101, unix.RT_TABLE_DEFAULT, 1000)
	if w.oneIn(40) {
		table = unix.RT_TABLE_LOCAL
	}
	typ, flags, tos := uint8(unix.RTN_UNICAST), uint8(0), uint8(0)
	if w.oneIn(20) {
		typ = pick(w.rnd, uint8(unix.RTN_BLACKHOLE), unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT, unix.RTN_THROW, unix.RTN_THROW)
		p = w.narrow(six)
	}
	if !six && w.oneIn(15) {
		tos = pick(w.rnd, uint8(4), 8, 16)
	}
	if w.oneIn(10) {
		flags |= unix.RTNH_F_ONLINK
	}
	from := netip.Prefix{}
	if six && w.oneIn(40) {
		from, p = w.prefix(true), w.narrow(true)
	}
	protocol := pick(w.rnd, uint8(unix.RTPROT_STATIC), unix.RTPROT_STATIC, unix.RTPROT_BGP)
	body := wire{familyOf(six), uint8(p.Bits()), 0, tos, 0, protocol, w.scope(six, typ), typ}.u32(uint32(flags))
	body = body.addr(unix.RTA_DST, p.Addr()).attr32(unix.RTA_TABLE, table)
	if from.IsValid() && from.Bits() > 0 {
		body[2] = uint8(from.Bits())
		body = body.addr(unix.RTA_SRC, from.Addr())
	}
	if w.oneIn(2) {
		body = body.attr32(unix.RTA_PRIORITY, uint32(1+w.rnd.IntN(3)))
	}
	if w.oneIn(5) {
		body = body.attr(unix.RTA_METRICS, wire(nil).attr32(unix.RTAX_MTU, uint32(1280+w.rnd.IntN(4)*40)))
	}
	if w.oneIn(6) {
		i := w.rnd.IntN(worldDevices)
		body = body.addr(unix.RTA_PREFSRC, pick(w.rnd, w.host4(i, 0, 1), w.host6(i, 0, 1)))
	}
	body = w.towards(body, six, typ)
	if w.oneIn(4) {
		return w.talk.do(unix.RTM_DELROUTE, 0, w.without(body), nil)
	}
	how := pick(w.rnd, unix.NLM_F_EXCL, unix.NLM_F_EXCL, unix.NLM_F_REPLACE, unix.NLM_F_APPEND, 0)
	return w.talk.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|uint16(how), body, nil)
}

// without leaves out what a route is not removed by, sometimes, so that more are found.
func (w *world) without(body wire) wire {
	if w.oneIn(3) {
		return body
	}
	return body[:rtmLen+rtattrEnd(body, unix.RTA_TABLE)]
}

func rtattrEnd(body wire, last uint16) int {
	at := 0
	for b := body[rtmLen:]; ; {
		n := (int(binary.NativeEndian.Uint16(b[at:])) + 3) &^ 3
		t := binary.NativeEndian.Uint16(b[at+2:])
		if at += n; t == last {
			return at
		}
	}
}

func (w *world) scope(six bool, typ uint8) uint8 {
	if six || isError(typ) || !w.oneIn(6) {
		return unix.RT_SCOPE_UNIVERSE
	}
	return unix.RT_SCOPE_LINK
}

func (w *world) towards(body wire, six bool, typ uint8) wire {
	if isError(typ) {
		return body
	}
	switch w.rnd.IntN(8) {
	case 0:
		return body.attr32(rtaNexthopID, uint32(1+w.rnd.IntN(9)))
	case 1:
		var legs wire
		for range 2 + w.rnd.IntN(2) {
			one := w.via(nil, six)
			oif := one[4:8]
			leg := binary.NativeEndian.AppendUint16(nil, uint16(8+len(one)-8))
			legs = append(append(append(append(legs, leg...), 0, 0), oif...), one[8:]...)
		}
		return body.attr(unix.RTA_MULTIPATH, legs)
	}
	return w.via(body, six)
}

func (w *world) rule() error {
	six := w.oneIn(2)
	list, err := w.h.RuleList(int(familyOf(six)))
	must(w.t, err)
	if len(list) > 7 || len(list) > 3 && w.oneIn(3) {
		for _, r := range list {
			if r.Priority >= 100 && r.Priority < 30000 && w.oneIn(2) {
				return w.talk.do(unix.RTM_DELRULE, 0, wire{familyOf(six), 0, 0, 0, 0, 0, 0, 0}.u32(0).attr32(unix.FRA_PRIORITY, uint32(r.Priority)), nil)
			}
		}
	}
	body := wire{familyOf(six), 0, 0, 0, 0, 0, 0, unix.FR_ACT_TO_TBL}.u32(0)
	body = body.attr32(unix.FRA_PRIORITY, uint32(100+w.rnd.IntN(100)))
	hard := w.oneIn(8)
	if hard {
		body[7] = pick(w.rnd, uint8(unix.FR_ACT_BLACKHOLE), unix.FR_ACT_UNREACHABLE, unix.FR_ACT_PROHIBIT, unix.FR_ACT_NOP)
	} else if w.oneIn(10) {
		body[7] = unix.FR_ACT_GOTO
		body = body.attr32(unix.FRA_GOTO, uint32(pick(w.rnd, 150, 199, 32766)))
	} else {
		body = body.attr32(unix.FRA_TABLE, pick(w.rnd, uint32(100), 101, 1000, unix.RT_TABLE_MAIN))
	}
	if !hard && w.oneIn(8) {
		binary.NativeEndian.PutUint32(body[8:], fibRuleInvert)
	}
	if !hard && w.oneIn(2) {
		p := w.prefix(six)
		if w.oneIn(3) { // has no source, too, as IPv4 sees it
			p = netip.PrefixFrom(anyAddress(six), 1+w.rnd.IntN(6))
		}
		body[2] = uint8(p.Bits())
		body = body.addr(unix.FRA_SRC, p.Addr())
	}
	if hard || w.oneIn(3) {
		p := w.prefix(six)
		if hard {
			p = netip.PrefixFrom(w.host(six), p.Addr().BitLen())
		}
		body[1] = uint8(p.Bits())
		body = body.addr(unix.FRA_DST, p.Addr())
	}
	return w.talk.do(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, w.selectors(body), nil)
}

func (w *world) selectors(body wire) wire {
	switch w.rnd.IntN(12) {
	case 0:
		body = body.str(unix.FRA_OIFNAME, w.name(w.rnd.IntN(worldDevices)))
	case 1:
		body = body.str(unix.FRA_IIFNAME, pick(w.rnd, "lo", "d1"))
	case 2:
		body = body.attr32(unix.FRA_FWMARK, uint32(w.rnd.IntN(4)))
		if w.oneIn(2) {
			body = body.attr32(unix.FRA_FWMASK, 2)
		}
	case 3:
		last, source := uint16(1001), w.oneIn(2)
		masked := w.oneIn(2)
		if masked { // the kernel may be too old for it, and refuse
			last = 1000
		}
		ports := binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, 1000), last)
		mask := binary.NativeEndian.AppendUint16(nil, pick(w.rnd, uint16(0xffff), 0xfffe, 0xfff8, 1000))
		switch {
		case source && masked:
			body = body.attr(unix.FRA_SPORT_RANGE, ports).attr(fraSportMask, mask)
		case source:
			body = body.attr(unix.FRA_SPORT_RANGE, ports)
		case masked:
			body = body.attr(unix.FRA_DPORT_RANGE, ports).attr(fraDportMask, mask)
		default:
			body = body.attr(unix.FRA_DPORT_RANGE, ports)
		}
	case 4:
		body = body.attr(unix.FRA_IP_PROTO, []byte{pick(w.rnd, byte(unix.IPPROTO_UDP), unix.IPPROTO_TCP)})
	case 5:
		if !w.oneIn(3) {
			break
		}
		body = body.attr(unix.FRA_UID_RANGE, wire(nil).u32(0).u32(pick(w.rnd, uint32(0), 10)))
	case 6:
		body[3] = pick(w.rnd, uint8(4), 16)
	case 7:
		body = body.attr32(unix.FRA_SUPPRESS_PREFIXLEN, uint32(pick(w.rnd, 0, 8, 24)))
	case 8:
		if w.oneIn(3) {
			body = body.attr32(unix.FRA_SUPPRESS_IFGROUP, uint32(w.rnd.IntN(2)))
		}
	}
	return body
}
