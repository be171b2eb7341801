// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// owners is the configuration of a program as data.
type owners struct {
	ports            map[Key]Flags
	local, broadcast []netip.Addr
	vlans            []uint16
	merged           bool // frames may be several datagrams
}

var ownership = owners{
	ports: map[Key]Flags{
		key("0.0.0.0:4433"):       0,
		key("[::]:4433"):          0,
		key("10.77.0.2:5000"):     0,
		key("[fd77::2]:5000"):     0,
		key("10.77.0.2:4434"):     0,
		key("0.0.0.0:6000"):       MatchMulticast,
		key("[::]:6000"):          MatchMulticast,
		key("0.0.0.0:6001"):       MatchBroadcast,
		key("0.0.0.0:6002"):       MatchBroadcast | MatchMulticast,
		key("239.1.2.3:7000"):     0,
		key("[ff02::1234]:7000"):  0,
		key("255.255.255.255:67"): 0,
		key("10.77.0.255:68"):     0,
	},
	local:     addrs("10.77.0.2", "10.77.0.3", "fd77::2", "fe80::77:ff:fe00:b", "127.0.0.1", "::1"),
	broadcast: addrs("10.77.0.255"),
	vlans:     []uint16{1, 100, 4094},
}

// judge is the contract of doc.go a second time, written to be read, as the oracle for the program. It leaves out sockets and frame lengths.
func (o owners) judge(b []byte) Reason {
	be := binary.BigEndian
	if len(b) < 14 {
		return ReasonTruncated
	}
	proto, b := be.Uint16(b[12:]), b[14:]
	if proto == 0x8100 {
		if len(b) < 4 {
			return ReasonTruncated
		}
		if vlan := be.Uint16(b) & 0xfff; vlan != 0 && !slices.Contains(o.vlans, vlan) {
			return ReasonVLAN
		}
		proto, b = be.Uint16(b[2:]), b[4:]
	}
	var src, dst netip.Addr
	var udp []byte
	switch proto {
	case 0x0800:
		switch {
		case len(b) < 20:
			return ReasonTruncated
		case b[0]>>4 != 4 || b[0]&15 < 5:
			return ReasonIPHeader
		case b[9] != 17:
			return ReasonNotUDP
		case b[0] != 0x45:
			return ReasonIPOptions
		case be.Uint16(b[6:])&0x3fff != 0:
			return ReasonIPFragment
		}
		total := int(be.Uint16(b[2:]))
		if total < 28 || total > len(b) {
			return ReasonIPLength
		}
		src, dst, udp = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), b[20:total]
	case 0x86dd:
		switch {
		case len(b) < 40:
			return ReasonTruncated
		case b[0]>>4 != 6:
			return ReasonIPHeader
		case b[6] == 44:
			return ReasonIPFragment
		case slices.Contains([]byte{0, 43, 51, 60, 135, 139, 140}, b[6]):
			return ReasonIPExtension
		case b[6] != 17:
			return ReasonNotUDP
		}
		payload := int(be.Uint16(b[4:]))
		if payload < 8 || payload+40 > len(b) {
			return ReasonIPLength
		}
		src, dst, udp = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), b[40:40+payload]
	case 0x8100, 0x88a8:
		return ReasonVLAN
	default:
		return ReasonNotIP
	}
	if int(be.Uint16(udp[4:])) != len(udp) {
		return ReasonUDPLength
	}
	if dst.Is6() && be.Uint16(udp[6:]) == 0 {
		return ReasonUDPChecksum
	}
	reason := o.owner(src, dst, be.Uint16(udp[2:]))
	if reason == ReasonRedirected && o.merged && be.Uint16(udp[6:]) == pseudoSum(src, dst, len(udp)) {
		return ReasonUDPPartial
	}
	return reason
}

// pseudoSum is what a sender leaves in the checksum field for its device to go on from.
func pseudoSum(src, dst netip.Addr, length int) uint16 {
	return onesSum(append(append(src.AsSlice(), dst.AsSlice()...), 0, 17, byte(length>>8), byte(length)))
}

// onesSum adds up an even number of bytes (RFC 1071).
func onesSum(b []byte) uint16 {
	sum := 0
	for i := 0; i < len(b); i += 2 {
		if sum += int(b[i])<<8 | int(b[i+1]); sum > 0xffff {
			sum -= 0xffff
		}
	}
	return uint16(sum)
}

func (o owners) owner(src, dst netip.Addr, port uint16) Reason {
	any := netip.IPv4Unspecified()
	if dst.Is6() {
		any = netip.IPv6Unspecified()
	}
	_, exact := o.ports[Key{dst, port}]
	flags, anyOwns := o.ports[Key{any, port}]
	wantGroup := func(f Flags) Reason {
		if flags&f != 0 {
			return ReasonRedirected
		}
		return ReasonGroup
	}
	switch {
	case !exact && !anyOwns:
		return ReasonNoPort
	case refused(src, true) || refused(dst, false) || src.Is4() && slices.Contains(o.local, src):
		return ReasonMartian
	case exact:
		return ReasonRedirected
	case dst.IsMulticast():
		return wantGroup(MatchMulticast)
	case dst == limitedBroadcast:
		return wantGroup(MatchBroadcast)
	case slices.Contains(o.local, dst):
		return ReasonRedirected
	case slices.Contains(o.broadcast, dst):
		return wantGroup(MatchBroadcast)
	}
	return ReasonNotLocal
}

// refused holds the prefixes whose addresses do not cross a link, as source or at all.
func refused(a netip.Addr, source bool) bool {
	list := []string{"0.0.0.0/8", "127.0.0.0/8", "::/96", "::ffff:0:0/96"}
	if source {
		list = append(list, "224.0.0.0/4", "255.255.255.255/32", "ff00::/8")
	} else if b := a.As16(); a.Is6() && b[0] == 0xff && b[1]&15 <= 1 {
		return true
	}
	return slices.ContainsFunc(list, func(s string) bool { return netip.MustParsePrefix(s).Contains(a) })
}

// randomFrame is a datagram between addresses and ports that the entries and the model's special cases name, with up to three bytes
// changed, most of them in the headers, and sometimes cut or padded.
func randomFrame(rng *rand.Rand) []byte {
	pick := func(list ...string) netip.Addr { return netip.MustParseAddr(list[rng.IntN(len(list))]) }
	ports := []uint16{4433, 4433, 4434, 5000, 6000, 6001, 6002, 7000, 67, 68, 53}
	d := datagram{payload: rng.IntN(32)}
	port := ports[rng.IntN(len(ports))]
	if rng.IntN(2) == 0 {
		d.src = netip.AddrPortFrom(pick("10.77.0.1", "10.77.0.1", "10.77.0.1", "0.0.0.0", "127.0.0.1", "224.0.0.1",
			"255.255.255.255", "10.77.0.3", "10.77.0.255"), 9)
		d.dst = netip.AddrPortFrom(pick("10.77.0.2", "10.77.0.3", "192.0.2.1", "10.77.0.255", "255.255.255.255", "239.1.2.3",
			"224.0.0.1", "127.0.0.1", "0.0.0.0"), port)
	} else {
		d.src = netip.AddrPortFrom(pick("fd77::1", "fd77::1", "fd77::1", "::", "::1", "::ffff:10.77.0.1", "ff02::1",
			"fd77::2"), 9)
		d.dst = netip.AddrPortFrom(pick("fd77::2", "fe80::77:ff:fe00:b", "2001:db8::1", "ff02::1234", "ff01::1234", "ff00::1",
			"ff1e::1", "::1", "::", "::ffff:10.77.0.2"), port)
	}
	for range max(0, rng.IntN(5)-2) {
		d.tags = append(d.tags, []uint16{0, 0xe000, 1, 100, 4094, 5, 0xf064}[rng.IntN(7)])
	}
	b := d.bytes()
	for range max(0, rng.IntN(7)-3) {
		off := 12 + rng.IntN(min(len(b)-12, 60))
		b[off] = []byte{0, 1, byte(rng.Uint32()), b[off] ^ 1<<rng.IntN(8)}[rng.IntN(4)]
	}
	switch rng.IntN(10) {
	case 0:
		b = b[:14+rng.IntN(len(b)-13)]
	case 1:
		b = append(b, make([]byte, rng.IntN(30))...)
	case 2: // next headers and protocols, which a random byte seldom hits
		nexts := []byte{0, 1, 6, 43, 44, 50, 51, 58, 59, 60, 135, 139, 140}
		if d.dst.Addr().Is4() {
			b[offIP+4*len(d.tags)+9] = nexts[rng.IntN(len(nexts))]
		} else {
			b[offIP+4*len(d.tags)+6] = nexts[rng.IntN(len(nexts))]
		}
	case 3:
		if d.dst.Addr().Is4() {
			b[offIP+4*len(d.tags)] = 0x40 | byte(rng.IntN(16))
		}
	case 4:
		if d.dst.Addr().Is6() {
			copy(b[offUDP6+4*len(d.tags)+6:], []byte{0, 0})
		}
	case 5, 6: // a checksum left to the device
		off := offUDP4
		if d.dst.Addr().Is6() {
			off = offUDP6
		}
		binary.BigEndian.PutUint16(b[off+4*len(d.tags)+6:], pseudoSum(d.src.Addr(), d.dst.Addr(), 8+d.payload))
	}
	return b
}

// TestProgramAgreesWithModel judges random frames twice.
func TestProgramAgreesWithModel(t *testing.T) {
	for _, c := range []struct {
		name   string
		opts   Options
		merged bool
	}{
		{"plain", Options{NoFrags: true}, false}, {"frags", Options{}, false},
		{"plain/merged", Options{NoFrags: true}, true}, {"frags/merged", Options{}, true},
		{"strict", Options{strict: true}, false}, {"strict/merged", Options{strict: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := loadT(t, c.opts)
			configure(t, p)
			ownership := ownership
			if ownership.merged = c.merged; c.merged {
				must(t, p.maps.WskxdpMerged.Put(uint32(0), uint32(1)))
			}
			rng := testenv.Rand(t)
			var seen Counters
			frames := 10000
			if testing.Short() {
				frames = 4000
			}
			for range frames {
				frame := randomFrame(rng)
				want, got := ownership.judge(frame), run(t, p, frame, nil)
				if got != want {
					t.Fatalf("program says %v, model %v of %x", got, want, frame)
				}
				seen[got]++
			}
			for r, n := range seen {
				if r := Reason(r); n == 0 && r != ReasonNoSocket && r != ReasonTooLong && (c.merged || r != ReasonUDPPartial) {
					t.Errorf("no frame was judged %v: the generator misses it", r)
				}
			}
		})
	}
}
