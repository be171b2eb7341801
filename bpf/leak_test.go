// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"runtime/debug"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestNothingLeaks: every descriptor is closed by whoever is done with it, not by the collector some day.
func TestNothingLeaks(t *testing.T) {
	lab := labT(t, testenv.Topology{})
	other := loadT(t, Options{})
	attachT(t, lab.A, other, Native)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	files := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(list)
	}
	cycle := func() {
		for _, v := range variants {
			if v.opts.strict && !kernelHasFrags() {
				continue
			}
			p, err := Load(v.opts)
			must(t, err)
			for _, mode := range []Mode{Native, Generic} {
				a, err := attach(lab.B, lab.B.If.Index(), p, mode)
				must(t, err)
				if mode == Native {
					must(t, a.Close())
				}
			}
			if _, err := attach(lab.A, lab.A.If.Index(), p, Native); err == nil {
				t.Fatal("a second program was attached")
			}
			holdersT(t, lab.A, lab.A.If.Index())
			must(t, p.Close())
		}
	}
	cycle() // what the library opens once
	before := files()
	for range 3 {
		cycle()
	}
	if after := files(); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
