// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A host that has no address yet reaches everybody on its link, from 0.0.0.0.
func TestWithoutAddress(t *testing.T) {
	lab := newLab(t, testenv.Topology{A: testenv.End{Addrs: []netip.Prefix{}}, NoIPv6: true})
	j := newJudge(t, lab)
	table := open(t, lab, Options{})
	all := addr("255.255.255.255")
	index := lab.A.If.Index()
	for _, q := range []Query{
		{Dst: all, DstPort: 67, SrcPort: 68, Bound: index}, {Dst: all, DstPort: 67, SrcPort: 68, Interface: index},
		{Dst: addr("224.0.0.1"), DstPort: 67, Bound: index}, {Dst: all, DstPort: 67},
	} {
		want := j.send(q)
		got, err := table.Resolve(t.Context(), q)
		if want.err != nil {
			if !errors.Is(err, want.err) {
				t.Errorf("%+v: %v; the kernel says %v", q, err, want.err)
			}
			continue
		}
		if err != nil || got.Interface != want.index || got.Source != want.source {
			t.Errorf("%+v: %+v, %v; the kernel sends by %d from %v", q, got, err, want.index, want.source)
		}
	}
}
