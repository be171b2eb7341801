// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
)

// generator makes cases by chance.
type generator struct {
	r      *rand.Rand
	number uint64
	id     uint16 // of fragmented packets: each is used once in a round, so that what is never completed has timed out
	w      *setting
}

// sources4 and the like hold what a wire shows and what it should not. Those on the link are few, since the kernel may ask for them.
var (
	sources4 = addrs("10.77.0.2", "10.77.0.2", "10.77.0.2", "10.77.0.3", "10.77.0.1", "10.77.0.0", "10.77.0.255", "0.0.0.0", "0.1.2.3",
		"127.0.0.1", "127.1.2.3", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "8.8.8.8", "169.254.1.1", "192.0.2.1", "100.64.0.1")
	targets4 = addrs("10.77.0.1", "10.77.0.1", "10.77.0.1", "10.77.0.1", "10.77.0.255", "255.255.255.255", "239.1.2.3", "239.1.2.4",
		"224.0.0.1", "10.77.0.9", "10.77.0.0", "127.0.0.1", "0.0.0.0", "0.0.0.1", "8.8.8.8", "240.0.0.1")
	sources6 = addrs("fd77::2", "fd77::2", "fd77::2", "fd77::3", "fd77::1", "fe80::2", "::", "::1", "::2", "::ffff:10.77.0.2", "::ffff:8.8.8.8",
		"::10.77.0.2", "ff02::1", "ff15::77", "2001:db8::1", "fd77::", "64:ff9b::808:808")
	targets6 = addrs("fd77::1", "fd77::1", "fd77::1", "fd77::1", "ff15::77", "ff15::78", "ff02::1", "ff01::1", "ff00::1", "fd77::9", "::1", "::",
		"::ffff:10.77.0.1", "::ffff:10.77.9.9", "2001:db8::1")
)

var none4 = netip.IPv4Unspecified()

func addrs(list ...string) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, s := range list {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (g *generator) one(n int) bool { return g.r.IntN(n) == 0 }

// next makes a case.
func (g *generator) next() *Case {
	c := &Case{Number: g.number}
	g.number++
	p := g.plain(g.one(2))
	p.payload = g.payload(c.Number)
	say := func(what string) { c.What = append(c.What, what) }
	if g.one(3) {
		say("plain")
		c.Frames = p.frames()
		return c
	}
	if g.one(40) {
		say(PartialChecksum)
		p.payload = number(c.Number, max(8, len(p.payload)))
		p.checksum, c.Excuse = checksumPartial, PartialChecksum
		c.Frames = p.frames()
		return c
	}
	for range 1 + g.r.IntN(3) {
		say(g.strange(&p))
	}
	if p.dst.Addr() == none4 && p.src == netip.AddrPortFrom(none4, 0) {
		p.payload, c.Excuse = number(c.Number, max(8, len(p.payload))), NoAddresses
	}
	c.Frames, c.Beside = p.frames(), p.beside
	switch {
	case g.one(3):
		mutate(g.r, c)
		say("mutated")
	case g.one(20):
		shuffle(g.r, c)
		say("shuffled")
	}
	return c
}

// plain is a packet that arrives.
func (g *generator) plain(six bool) packet {
	p := packet{dstMAC: g.w.macA, srcMAC: g.w.macB, ttl: byte(1 + g.r.IntN(255)), tos: byte(g.r.IntN(256)), id: uint16(g.r.Uint32())}
	port := pick(g.r, ports)
	p.src, p.dst = netip.AddrPortFrom(g.w.b4, uint16(1024+g.r.IntN(60000))), netip.AddrPortFrom(g.w.a4, port)
	if six {
		p.src, p.dst = netip.AddrPortFrom(g.w.b6, p.src.Port()), netip.AddrPortFrom(g.w.a6, port)
	}
	return p
}

// number is a payload that tells its case.
func number(n uint64, size int) []byte {
	b := make([]byte, size)
	var word [8]byte
	binary.BigEndian.PutUint64(word[:], n)
	copy(b, word[:])
	for i := 8; i < size; i++ {
		b[i] = byte(n) + byte(i)
	}
	return b
}

func (g *generator) payload(n uint64) []byte {
	switch g.r.IntN(8) {
	case 0:
		return number(n, g.r.IntN(9))
	case 1:
		return number(n, 1400+g.r.IntN(73))
	}
	return number(n, 8+g.r.IntN(300))
}

// strange makes one thing unusual and says what.
func (g *generator) strange(p *packet) string {
	kinds := []func(*packet) string{
		g.source, g.source, g.target, g.target, g.lengths, g.sums, g.fragment, g.fragment, g.headers, g.headers, g.tag, g.station, g.bits, g.size,
	}
	return pick(g.r, kinds)(p)
}

func (g *generator) source(p *packet) string {
	list := sources4
	if !p.dst.Addr().Is4() {
		list = sources6
	}
	port := p.src.Port()
	if g.one(6) {
		port = pick(g.r, []uint16{0, 1, 65535, 7300})
	}
	p.src = netip.AddrPortFrom(pick(g.r, list), port)
	return "source " + p.src.String()
}

func (g *generator) target(p *packet) string {
	list := targets4
	if !p.dst.Addr().Is4() {
		list = targets6
	}
	port := p.dst.Port()
	if g.one(6) {
		port = pick(g.r, []uint16{0, 9, 65535})
	}
	p.dst = netip.AddrPortFrom(pick(g.r, list), port)
	if a := p.dst.Addr(); g.one(2) {
		p.dstMAC = stationOf(a, p.dstMAC)
	}
	return "destination " + p.dst.String()
}

// stationOf is the MAC address that a group or broadcast has.
func stationOf(a netip.Addr, otherwise net.HardwareAddr) net.HardwareAddr {
	b := a.AsSlice()
	switch {
	case a.Is4() && a.IsMulticast():
		return net.HardwareAddr{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}
	case a.Is6() && a.IsMulticast():
		return net.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
	case a.Is4() && b[3] == 255:
		return net.HardwareAddr{255, 255, 255, 255, 255, 255}
	}
	return otherwise
}

func (g *generator) lengths(p *packet) string {
	off := pick(g.r, []int{-1, 1, -8, 8, -100, 100, -1500, 1500, -len(p.payload), -len(p.payload) - 8, -len(p.payload) - 28})
	switch g.r.IntN(3) {
	case 0:
		p.ipLength = off
		return "IP length"
	case 1:
		p.udpLength = off
		return "UDP length"
	}
	p.ipLength, p.udpLength = off, off
	return "both lengths"
}

func (g *generator) sums(p *packet) string {
	switch g.r.IntN(4) {
	case 0:
		p.checksum = checksumNone
		return "no checksum"
	case 1:
		p.checksum = checksumWrong
		return "wrong checksum"
	case 2:
		p.badHeaderSum = true
		return "wrong header checksum"
	}
	p.padding = pick(g.r, []int{1, 4, 18, 46})
	return "padding"
}

func (g *generator) fragment(p *packet) string {
	g.id++
	p.id = g.id
	whole := 8 + len(p.payload)
	for at := 8 * (1 + g.r.IntN(20)); at < whole && len(p.fragments) < 6; at += 8 * (1 + g.r.IntN(60)) {
		p.fragments = append(p.fragments, at)
	}
	return "fragments"
}

func (g *generator) headers(p *packet) string {
	if p.dst.Addr().Is4() {
		p.options = pick(g.r, [][]byte{
			{1, 1, 1, 0}, {1, 1, 1, 1, 1, 1, 1, 1}, {148, 4, 0, 0}, {7, 7, 4, 0, 0, 0, 0, 0}, {131, 7, 4, 10, 77, 0, 9, 0}, {137, 3, 4, 0},
			{68, 8, 5, 0, 0, 0, 0, 0}, {7, 200, 4, 0}, {130, 4, 1, 1}, {255, 1, 0, 0},
		})
		return "IP options"
	}
	body := func(n int) []byte { // options of padding, six more than a multiple of eight
		b := make([]byte, 6+8*n)
		b[0], b[1] = 1, byte(len(b)-2)
		return b
	}
	for range 1 + g.r.IntN(3) {
		kind := pick(g.r, []byte{0, 60, 60, 43, 51, 135, 139, 140, 59, 200})
		e := extension{kind, body(g.r.IntN(3))}
		if kind == 43 {
			e.body[0], e.body[1] = byte(g.r.IntN(5)), byte(g.r.IntN(3))
		}
		p.extensions = append(p.extensions, e)
	}
	return "extension headers"
}

func (g *generator) tag(p *packet) string {
	tpid := pick(g.r, []uint32{0x8100, 0x8100, 0x8100, 0x88a8, 0x9100})
	tag := tpid<<16 | pick(g.r, []uint32{0, 0xa000, 100, 1, 4095, 0xe064})
	if g.one(2) && tpid != 0x9100 { // the kernel has no others beside a frame
		p.beside = tag
		return "tag beside"
	}
	p.tags = append(p.tags, tag)
	return "tag"
}

func (g *generator) station(p *packet) string {
	p.dstMAC = pick(g.r, []net.HardwareAddr{
		{255, 255, 255, 255, 255, 255}, {2, 1, 2, 3, 4, 5}, {1, 0, 0x5e, 1, 2, 3}, {0x33, 0x33, 0, 0, 0, 0x77}, {0, 0, 0, 0, 0, 0}, g.w.macB,
		{1, 0x80, 0xc2, 0, 0, 0},
	})
	if g.one(4) {
		p.srcMAC = pick(g.r, []net.HardwareAddr{g.w.macA, {1, 2, 3, 4, 5, 6}, {0, 0, 0, 0, 0, 0}, {255, 255, 255, 255, 255, 255}})
	}
	return "station"
}

func (g *generator) bits(p *packet) string {
	switch g.r.IntN(6) {
	case 0:
		p.ttl = 0
		return "TTL 0"
	case 1:
		p.version = byte(g.r.IntN(16))
		return "version"
	case 2:
		p.protocol = pick(g.r, []byte{136, 6, 1, 58, 132, 255, 44, 50})
		return "protocol"
	case 3:
		p.flags = pick(g.r, []uint16{0x4000, 0x8000, 0xc000, 0x2000, 1, 0x1fff, 0x3fff})
		g.id++
		p.id = g.id
		return "flags"
	case 4:
		p.flow = g.r.Uint32() & 0xfffff
		return "flow label"
	}
	p.tos = byte(g.r.IntN(256))
	return "TOS"
}

func (g *generator) size(p *packet) string {
	p.payload = number(g.number-1, pick(g.r, []int{0, 1, 1452, 1472, 1473, 1480}))
	return "size"
}
