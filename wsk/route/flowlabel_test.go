// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestFlowLabel(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	j := newJudge(t, lab)
	j.knows(0, "fd77::9")
	table := open(t, lab, Options{keepAliveEvery: 5 * time.Millisecond})
	four := netip.MustParseAddrPort("10.77.0.1:9")
	if got := table.FlowLabel(four, four); got != 0 {
		t.Errorf("IPv4 has label %#x", got)
	}
	for _, setting := range []string{"0", "1", "2", "3"} {
		for _, ranges := range []string{"0", "1"} {
			must(t, lab.A.NS.Sysctl("ipv6/auto_flowlabels", setting))
			if err := lab.A.NS.Sysctl("ipv6/flowlabel_state_ranges", ranges); err != nil && ranges == "1" {
				continue // not together with auto_flowlabels on older kernels
			}
			testenv.Eventually(t, patience, "the settings", func() bool {
				return string('0'+table.sysctls.flowLabels.value.Load()) == setting && string('0'+table.sysctls.stateless.value.Load()) == ranges
			})
			var kernels, ours [6]uint32
			for i := range kernels {
				q := Query{Dst: addr("fd77::9"), SrcPort: 4000, DstPort: uint16(9 + i/2)} // every flow twice
				kernels[i] = j.label(q)
				ours[i] = table.FlowLabel(netip.AddrPortFrom(addr("fd77::1"), q.SrcPort), netip.AddrPortFrom(q.Dst, q.DstPort))
			}
			if k, o := properties(kernels, ranges), properties(ours, ranges); k != o {
				t.Errorf("auto_flowlabels %s, ranges %s: the kernel's labels %#x, ours %#x", setting, ranges, kernels, ours)
			}
		}
	}
}

// properties is what can be compared of labels: which are there, which are the same, what their first bit is.
func properties(labels [6]uint32, ranges string) (p [6]struct{ none, same, stateless bool }) {
	for i, l := range labels {
		p[i].none, p[i].same = l == 0, i > 0 && l == labels[i-1]
		p[i].stateless = ranges == "1" && l&stateless != 0
	}
	return p
}

// TestLabelsSpread: labels of flows that differ in one bit, wherever that is, are as unlike as labels made at random.
func TestLabelsSpread(t *testing.T) {
	key := newLabelKey()
	rnd := testenv.Rand(t)
	const flows, changes = 64, 2*128 + 32
	same, set := 0, [20]int{}
	for range flows {
		var src, dst [16]byte
		for i := range src {
			src[i], dst[i] = byte(rnd.Uint32()), byte(rnd.Uint32())
		}
		ports := uint64(rnd.Uint32())
		label := key.label(key.source(src, uint16(ports>>16)), &dst, uint16(ports))
		for bit := range changes {
			s, d, p := src, dst, ports
			switch {
			case bit < 128:
				s[bit/8] ^= 1 << (bit % 8)
			case bit < 256:
				d[bit/8-16] ^= 1 << (bit % 8)
			default:
				p ^= 1 << (bit - 256)
			}
			changed := key.label(key.source(s, uint16(p>>16)), &d, uint16(p)) ^ label
			if changed == 0 {
				same++
			}
			for i := range set {
				set[i] += int(changed >> i & 1)
			}
		}
	}
	if same > 4 { // of 18,432 pairs that are the same one time in a million
		t.Errorf("%d pairs of flows have one label", same)
	}
	for i, n := range set {
		if half := flows * changes / 2; n < half*9/10 || n > half*11/10 { // more than ten times the standard deviation
			t.Errorf("bit %d of a label changes %d times of %d", i, n, flows*changes)
		}
	}
}
