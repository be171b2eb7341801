// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestAlternativeNames(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	h := handle(t, lab.A.NS)
	table := open(t, lab, Options{})
	const long = "the-uplink-with-a-name-of-more-than-fifteen-bytes"
	must(t, addPair(h, "down"))
	down, err := testenv.FindIface(lab.A.NS, "down")
	must(t, err)
	for _, i := range []*testenv.Iface{lab.A.If, down} {
		l, err := h.LinkByIndex(i.Index())
		must(t, err)
		must(t, h.LinkAddAltName(l, long+i.Name()))
		testenv.Eventually(t, patience, "the device", func() bool { _, ok := table.Device(i.Index()); return ok })
		if d, ok := table.DeviceByName(long + i.Name()); !ok || d.Index != i.Index() {
			t.Errorf("%s: %+v, %v", i.Name(), d, ok)
		}
		must(t, h.LinkDelAltName(l, long+i.Name()))
		if d, ok := table.DeviceByName(long + i.Name()); ok {
			t.Errorf("without the name: %+v", d)
		}
	}
	l, err := h.LinkByIndex(lab.A.If.Index())
	must(t, err)
	must(t, h.LinkAddAltName(l, long))
	hop, err := table.Resolve(t.Context(), Query{Dst: addr("fe80::7").WithZone(long)})
	if err != nil || hop.Interface != lab.A.If.Index() {
		t.Errorf("zone: %+v, %v", hop, err)
	}
}
