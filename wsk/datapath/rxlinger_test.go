// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
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
		{"fast", receive.LingerFrames, receive.LingerWindow / 4, false, true},
		{"slow", receive.LingerFrames, 4 * receive.LingerWindow, true, false},
		{"many, fast", 10 * receive.LingerFrames, 5 * receive.LingerWindow, false, true},
		{"many, slow", 10 * receive.LingerFrames, 40 * receive.LingerWindow, true, false},
		{"too few to tell, after fast ones", receive.LingerFrames - 1, time.Hour, true, true},
		{"too few to tell, after slow ones", receive.LingerFrames - 1, 1, false, false},
	} {
		m := receive.LingerMeter{Frames: 1000 + tc.frames, Mark: 1000, At: begin, On: tc.before}
		if got := m.Worthwhile(func() time.Time { return begin.Add(tc.in) }); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	m := receive.LingerMeter{Frames: receive.LingerFrames, At: begin}
	if m.Worthwhile(func() time.Time { return begin.Add(time.Hour) }); m.Mark != receive.LingerFrames || !m.At.Equal(begin.Add(time.Hour)) {
		t.Errorf("measured anew from %d, %v", m.Mark, m.At)
	}
}

// TestLinger: it finds a frame and the end, gives up, and does not look at all when nothing is to be expected.
func TestLinger(t *testing.T) {
	ring := func() *fakeRX { return newFakeRX(t, xdptest.Config{RxChunks: 16, TxChunks: 8, TxRing: 8}) }
	for _, processors := range []int{1, 2} {
		rx := ring()
		s := &receive.Socket{Queue: &receive.Queue{Intake: &receive.Intake{Hub: &receive.Hub{Processors: processors}}}, Ring: rx.rx}
		s.Meter.On = true
		if s.Linger() {
			t.Error("frames in an empty ring")
		}
		rx.post(xdp.Desc{})
		if !s.Linger() {
			t.Error("a frame was not seen")
		}
		s.Meter.On = false
		if s.Linger() {
			t.Error("lingered without a reason")
		}
		s.Meter.On, s.Stopped, s.Ring = true, true, ring().rx
		if !s.Linger() {
			t.Error("the end was not seen")
		}
	}
}
