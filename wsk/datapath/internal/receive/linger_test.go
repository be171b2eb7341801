// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestLingerMeter: what a rate makes of the decision.
func TestLingerMeter(t *testing.T) {
	begin := time.Unix(1000, 0)
	for _, tc := range []struct {
		name   string
		frames uint64
		in     time.Duration
		before bool
		want   bool
	}{
		{"fast", lingerFrames, lingerWindow / 4, false, true},
		{"slow", lingerFrames, 4 * lingerWindow, true, false},
		{"many, fast", 10 * lingerFrames, 5 * lingerWindow, false, true},
		{"many, slow", 10 * lingerFrames, 40 * lingerWindow, true, false},
		{"too few to tell, after fast ones", lingerFrames - 1, time.Hour, true, true},
		{"too few to tell, after slow ones", lingerFrames - 1, 1, false, false},
	} {
		m := lingerMeter{frames: 1000 + tc.frames, mark: 1000, at: begin, on: tc.before}
		if got := m.worthwhile(func() time.Time { return begin.Add(tc.in) }); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	m := lingerMeter{frames: lingerFrames, at: begin}
	if m.worthwhile(func() time.Time { return begin.Add(time.Hour) }); m.mark != lingerFrames || !m.at.Equal(begin.Add(time.Hour)) {
		t.Errorf("measured anew from %d, %v", m.mark, m.at)
	}
}

// TestLinger: it finds a frame and the end, gives up, and does not look at all when nothing is to be expected.
func TestLinger(t *testing.T) {
	ring := func() *fakeRX { return newFakeRX(t, xdptest.Config{RxChunks: 16, TxChunks: 8, TxRing: 8}) }
	for _, single := range []bool{true, false} {
		rx := ring()
		r := &receiver{queue: &Queue{}, ring: rx.rx}
		m := lingerMeter{on: true}
		if m.linger(r.ready, single) {
			t.Error("frames in an empty ring")
		}
		rx.post(xdp.Desc{})
		if !m.linger(r.ready, single) {
			t.Error("a frame was not seen")
		}
		m.on = false
		if m.linger(r.ready, single) {
			t.Error("lingered without a reason")
		}
		m.on, r.stopped, r.ring = true, true, ring().rx
		if !m.linger(r.ready, single) {
			t.Error("the end was not seen")
		}
	}
}
