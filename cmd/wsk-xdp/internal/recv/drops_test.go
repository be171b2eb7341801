// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"maps"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// A datagram that was dropped is named once, though the kernel counts some twice.
func TestDropsAreNamedOnce(t *testing.T) {
	for _, c := range []struct {
		dropped, empty, full uint64
		want                 map[string]uint64
	}{
		{7, 7, 0, map[string]uint64{"rx_fill_ring_empty": 7}},
		{9, 7, 1, map[string]uint64{"rx_fill_ring_empty": 7, "rx_dropped": 2, "rx_ring_full": 1}},
		{0, 7, 0, map[string]uint64{"rx_fill_ring_empty": 7}},
	} {
		var r datapath.ReceiveInfo
		r.Kernel.RxDropped, r.Kernel.RxFillRingEmpty, r.Kernel.RxRingFull = c.dropped, c.empty, c.full
		if got := DropsOf(datapath.Info{Queues: []datapath.QueueInfo{{Receive: &r}}}); !maps.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if got := DropsOf(datapath.Info{CompanionDiscarded: 1, CompanionOverflowed: 2}); got["companion_discarded"] != 1 || got[BufferFull] != 2 {
		t.Error(got)
	}
}
