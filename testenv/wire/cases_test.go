// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// handmade sends one packet at a time to both hosts and fails where they differ.
type handmade struct {
	*runner
	t      *testing.T
	number uint64
}

func newHandmade(t *testing.T, c Config) *handmade {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	r, err := newRunner(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return &handmade{runner: r, t: t}
}

// same sends a packet, with a tag beside it if that is not 0. want is whether the kernel's sockets get it.
func (h *handmade) same(what string, p packet, beside uint32, want bool) {
	h.t.Helper()
	h.number++
	p.payload = number(h.number, 32)
	before := h.report.Delivered
	w, k, err := h.compare(h.t.Context(), []*Case{{Frames: p.frames(), Beside: beside}})
	switch {
	case err != nil:
		h.t.Fatal(err)
	case len(w)+len(k) > 0:
		h.t.Errorf("%s: only WSK %+v, only the kernel %+v", what, w, k)
	case (h.report.Delivered > before) != want:
		h.t.Errorf("%s: delivered: %v", what, !want)
	}
}

// TestMappedOverIPv6: what comes over IPv6 with v4-mapped addresses in it is IPv6 to every socket, as it is for the kernel's.
func TestMappedOverIPv6(t *testing.T) {
	h := newHandmade(t, Config{})
	for _, b := range bindings {
		p := h.gen.address(b)
		if p.dst.Addr().Is4() {
			continue
		}
		for _, tc := range []struct {
			src, dst string
			want     bool
		}{
			{"::ffff:10.77.0.2", "fd77::1", true},
			{"::ffff:8.8.8.8", "fd77::1", true},
			{"::ffff:10.77.0.1", "fd77::1", true},
			{"::ffff:10.77.0.2", mappedLocal.String(), b.local.Addr().IsUnspecified()},
			{"fd77::2", mappedLocal.String(), b.local.Addr().IsUnspecified()},
			{"::ffff:10.77.0.2", "::ffff:10.77.0.1", false},
			{"::ffff:10.77.0.2", joined6.String(), b.group == joined6},
		} {
			p.src, p.dst = netip.AddrPortFrom(netip.MustParseAddr(tc.src), 999), netip.AddrPortFrom(netip.MustParseAddr(tc.dst), b.local.Port())
			p.dstMAC = stationOf(p.dst.Addr(), h.gen.w.macA)
			h.same(b.name+": from "+tc.src+" to "+tc.dst, p, 0, tc.want)
		}
	}
}

// TestTagsBeside: a frame with its VLAN tag beside it is what it is for the kernel: of another VLAN, or with a priority only.
func TestTagsBeside(t *testing.T) {
	h := newHandmade(t, Config{})
	if tagsUnseen := h.wsk.dp.Info().Programs[0].TagsUnseen; tagsUnseen != !testenv.KernelAtLeast(6, 8) {
		t.Errorf("TagsUnseen is %v", tagsUnseen)
	} else if tagsUnseen {
		return
	}
	for _, b := range bindings {
		for beside, want := range map[uint32]bool{
			0: true, 0x8100_0000: true, 0x8100_a000: true, 0x8100_0064: false, 0x8100_0001: false, 0x8100_0fff: false,
			0x88a8_0000: true, 0x88a8_0064: false,
		} {
			p := h.gen.address(b)
			h.same(fmt.Sprintf("%s: tag %#x beside", b.name, beside), p, beside, want)
			p.fragments = []int{16}
			h.gen.id++
			p.id = h.gen.id
			h.same(fmt.Sprintf("%s: fragments, tag %#x beside", b.name, beside), p, beside, want)
			if b.group.IsValid() {
				p.fragments, p.dst = nil, netip.AddrPortFrom(b.group, b.local.Port())
				p.dstMAC = stationOf(b.group, p.dstMAC)
				h.same(fmt.Sprintf("%s: group, tag %#x beside", b.name, beside), p, beside, want)
			}
		}
	}
}

// TestUnicastInLinkGroups: a unicast datagram in a frame to a group or to every station is delivered unless the host says that
// such are dropped (drop_unicast_in_l2_multicast), of IPv4 on all interfaces or on that one, of IPv6 on that one.
func TestUnicastInLinkGroups(t *testing.T) {
	const setting = "/drop_unicast_in_l2_multicast=1"
	for _, tc := range []struct {
		sysctls      []string
		drop4, drop6 bool
	}{
		{nil, false, false},
		{[]string{"ipv4/conf/all" + setting, "ipv6/conf/all" + setting}, true, false},
		{[]string{"ipv4/conf/wsk0" + setting, "ipv6/conf/wsk0" + setting}, true, true},
	} {
		t.Run(fmt.Sprint(tc.sysctls), func(t *testing.T) {
			h := newHandmade(t, Config{Sysctls: tc.sysctls})
			for _, b := range bindings {
				p, drop := h.gen.address(b), tc.drop6
				if b.at.Is4() {
					drop = tc.drop4
				}
				for _, station := range []net.HardwareAddr{{255, 255, 255, 255, 255, 255}, {1, 0, 0x5e, 1, 2, 3}, {0x33, 0x33, 0, 0, 0, 0x77}} {
					p.dstMAC = station
					h.same(fmt.Sprintf("%s: to %v", b.name, station), p, 0, !drop)
				}
				if b.group.IsValid() { // what is for a group is in order
					p.dst = netip.AddrPortFrom(b.group, b.local.Port())
					h.same(b.name+": group", p, 0, true)
				}
			}
			r, err := Run(t.Context(), Config{Seed: testenv.Seed(t), Frames: 4000, Ignore: unseen(), Sysctls: tc.sysctls})
			if err != nil || len(r.Found) > 0 {
				t.Errorf("%v %+v", err, r.Found)
			}
		})
	}
}
