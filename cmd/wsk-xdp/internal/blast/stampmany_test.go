// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Numbers go on beyond 32 bits, and beyond the 48 of a stamp with 0, within one burst; what was given out is counted on.
func TestStampsBeyondTheirBits(t *testing.T) {
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	const burst = 8
	for _, edge := range []uint64{1 << 32, 1 << 48} {
		s := newStamping(StampWSK, 7, clock, 1, make([]byte, stamp.Size), burst)
		s.sent[0] = edge - 3
		sl, list := &slot{start: time.Now()}, make([]wsk.BufList, burst)
		s.burst(sl, 0, list)
		for i := range uint64(burst) {
			got, ok := stamp.Parse(sl.stamps[i*stamp.Size:])
			if want := (edge - 3 + i) & stamp.Mask; !ok || got.Sequence != want || got.Run != 7 {
				t.Errorf("%#x: stamp %d is %+v, want %#x", edge, i, got, want)
			}
		}
		if s.sent[0] != edge+burst-3 {
			t.Errorf("%#x: %#x were given out", edge, s.sent[0])
		}
	}
}
