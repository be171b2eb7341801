// SPDX-License-Identifier: Apache-2.0

package account

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// at makes the run's stream one of which so many numbers have come already.
func (r *Run) at(stream int, n uint64) {
	s := r.streams[stream]
	s.next, s.counts.Received = n, n
}

// A stamp has 48 bits of a number. Where they begin with 0 again the counts go on, as they do beyond 32 bits, with what is
// lost, doubled and moved there; an end that says more than 48 bits is taken.
func TestNumbersGoOnBeyondTheStamp(t *testing.T) {
	for _, edge := range []uint64{1 << 32, 1 << 48, 3 << 48} {
		r := NewRun(128, &Budget{Bytes(128)})
		take := func(n uint64) Class { return r.Take(&stamp.Stamp{Sequence: n & stamp.Mask}) }
		take(0)
		r.at(0, edge-10)
		for n := edge - 10; n < edge+100; n++ {
			switch n {
			case edge - 1, edge + 7: // lost
			case edge + 20: // moved behind the edge and five more
			case edge + 25:
				take(n)
				if got := take(edge + 20); got != Received {
					t.Errorf("%#x: a moved one is %v", edge, got)
				}
			default:
				if got := take(n); got != Received {
					t.Fatalf("%#x: number %#x is %v", edge, n, got)
				}
			}
		}
		if got := take(edge - 2); got != Duplicate {
			t.Errorf("%#x: doubled across the edge: %v", edge, got)
		}
		want := Counts{Received: edge + 98, Reordered: 1, Extent: 5, Duplicate: 1, Numbers: edge + 100, Lost: 2}
		if got := r.Counts(); got != want {
			t.Errorf("%#x: %+v, want %+v", edge, got, want)
		}
		r.End([]uint64{edge + 103})
		want.Numbers, want.Lost = edge+103, 5
		if got := r.Counts(); got != want || !got.Balanced() {
			t.Errorf("%#x: at the end %+v, want %+v", edge, got, want)
		}
		var total Counts
		total.Add(r.Counts())
		total.Add(r.Counts())
		if total.Received != 2*(edge+98) {
			t.Errorf("%#x: the sum is %+v", edge, total)
		}
	}
}

// What was sent before anybody looked is not lost: of a run that nobody has announced counting begins with the lowest number
// that came.
func TestJoinedRunLosesNothingAtItsStart(t *testing.T) {
	for _, first := range []uint64{0, 5000, 1 << 40, stamp.Mask - 3} {
		r := NewRun(128, &Budget{Bytes(128)})
		r.Joined()
		take := func(n uint64) { r.Take(&stamp.Stamp{Sequence: (first + n) & stamp.Mask}) }
		for _, n := range []uint64{2, 0, 1, 3, 6, 7, 7} { // 4 and 5 are lost
			take(n)
		}
		want := Counts{Received: 6, Reordered: 2, Extent: 2, Duplicate: 1, Numbers: 8, Lost: 2, Before: first}
		if got := r.Counts(); got != want || !got.Balanced() || got.Arrived() != 7 {
			t.Errorf("from %#x: %+v, want %+v", first, got, want)
		}
		if r.Release(); r.Counts() != want {
			t.Errorf("from %#x: released: %+v", first, r.Counts())
		}
	}
	r := NewRun(128, &Budget{Bytes(128)})
	r.Joined()
	if got := r.Counts(); got != (Counts{}) {
		t.Errorf("nothing came: %+v", got)
	}
}
