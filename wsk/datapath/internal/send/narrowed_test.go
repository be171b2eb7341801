// SPDX-License-Identifier: Apache-2.0

package send

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestPathNarrowed: what is heard of one destination makes its flows look for their ways anew, on every port, and no others; and it costs
// no copy of what a socket knows.
func TestPathNarrowed(t *testing.T) {
	const many = 200
	r := newRig(t, xdptest.Config{Budget: -1})
	s := r.socket()
	for i := range many {
		mustSucceed(t, "send", sendOne(t, s, whole([]byte{1}), sockaddr(behind(i/2), uint16(9+i%2)), nil))
	}
	src := r.sources[0]
	stale := func() (n int) {
		src.flows.each(func(f *Flow) {
			if p := f.path.Load(); p != nil && p.generation == never {
				n++
			}
		})
		return n
	}
	if n := testing.AllocsPerRun(10, func() { src.PathNarrowed(behind(many)) }); n != 0 || stale() != 0 {
		t.Errorf("%v allocations and %d flows for a destination without any", n, stale())
	}
	src.PathNarrowed(behind(7))
	if n := stale(); n != 2 {
		t.Errorf("%d flows are withdrawn, want 2", n)
	}
	awaitAll(t, sendAll(s, sockaddr(behind(7), 9), 1), wsk.STATUS_SUCCESS)
	if n := stale(); n != 1 {
		t.Errorf("%d flows are withdrawn after one has sent, want 1", n)
	}
}
