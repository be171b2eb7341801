// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// TestFrameChunks: the program gives the sockets frames of several chunks where the MTU asks for them and every socket that there may
// be takes them, and no more chunks than are free while clients hold all that they may.
func TestFrameChunks(t *testing.T) {
	refused := error(&xdp.FeatureError{Name: "multi-buffer frames", MinKernel: "6.12"})
	zc := func(segments uint32) nic.Device { return nic.Device{XDP: 1 << 3, ZCMaxSegs: segments} }
	for _, tc := range []struct {
		name   string
		mtu    int
		mode   xdp.Mode
		chunks uint32
		device nic.Device
		refuse bool
		want   int
	}{
		{"short", 1500, xdp.ModeAuto, 2048, nic.Device{}, false, 1},
		{"the longest in one", 3818, xdp.ModeAuto, 2048, nic.Device{}, false, 1},
		{"the shortest in two", 3819, xdp.ModeAuto, 2048, nic.Device{}, false, 2},
		{"jumbo", 9000, xdp.ModeAuto, 2048, nic.Device{}, false, 3},
		{"longest", 65535, xdp.ModeAuto, 2048, nic.Device{}, false, 18},
		{"without the kernel", 9000, xdp.ModeAuto, 2048, nic.Device{}, true, 1},
		{"without the kernel, short", 1500, xdp.ModeAuto, 2048, nic.Device{}, true, 1},
		{"few chunks", 9000, xdp.ModeAuto, 16, nic.Device{}, false, 2},
		{"no chunks to spare", 9000, xdp.ModeAuto, 8, nic.Device{}, false, 1},
		{"zero-copy without", 9000, xdp.ModeAuto, 2048, zc(1), false, 1},
		{"zero-copy that says nothing", 9000, xdp.ModeZeroCopy, 2048, zc(0), false, 1},
		{"zero-copy with few", 9000, xdp.ModeAuto, 2048, zc(2), false, 2},
		{"zero-copy with enough", 9000, xdp.ModeZeroCopy, 2048, zc(8), false, 3},
		{"zero-copy with enough, copy mode without", 9000, xdp.ModeAuto, 2048, zc(8), true, 1},
		{"copy mode asked for", 9000, xdp.ModeCopy, 2048, zc(1), false, 3},
	} {
		asked := false
		n, err := frameChunks(&xdp.Options{Mode: tc.mode, RxChunks: tc.chunks}, &nic.Interface{MTU: tc.mtu, Device: tc.device}, 4096-256,
			func() error {
				if asked = true; tc.refuse {
					return refused
				}
				return nil
			})
		if n != tc.want || asked != (n > 1 || err != nil) || err != nil && !tc.refuse {
			t.Errorf("%s: %d chunks, want %d; asked %v; %v", tc.name, n, tc.want, asked, err)
		}
	}
}

// TestFrameChunksLeftToTheKernel: where a socket would lose frames of several chunks, or there is no telling, the kernel's stack has them.
func TestFrameChunksLeftToTheKernel(t *testing.T) {
	zc := nic.Device{XDP: 1 << 3, ZCMaxSegs: 8}
	for _, tc := range []struct {
		name  string
		o     xdp.Options
		facts nic.Interface
		room  int
		want  int
	}{
		{"an RX ring of two", xdp.Options{Mode: xdp.ModeCopy, RxChunks: 2048, RxRing: 2}, nic.Interface{}, 3840, 2},
		{"an RX ring of four", xdp.Options{Mode: xdp.ModeCopy, RxChunks: 2048, RxRing: 4}, nic.Interface{}, 3840, 3},
		{"zero-copy, an RX ring that may fill", xdp.Options{RxChunks: 2048, RxRing: 64}, nic.Interface{Device: zc}, 3840, 1},
		{"zero-copy", xdp.Options{RxChunks: 2048}, nic.Interface{Device: zc}, 3840, 3},
		{"a driver that could not be asked", xdp.Options{RxChunks: 2048}, nic.Interface{DeviceErr: errors.New("no")}, 3840, 1},
		{"the same in copy mode", xdp.Options{Mode: xdp.ModeCopy, RxChunks: 2048}, nic.Interface{DeviceErr: errors.New("no")}, 3840, 3},
		{"headroom up to the end", xdp.Options{RxChunks: 2048}, nic.Interface{}, 0, 1},
		{"and beyond", xdp.Options{RxChunks: 2048}, nic.Interface{}, -100, 1},
	} {
		tc.facts.MTU = 9000
		if n, err := frameChunks(&tc.o, &tc.facts, tc.room, func() error { return nil }); n != tc.want || err != nil {
			t.Errorf("%s: %d chunks, want %d; %v", tc.name, n, tc.want, err)
		}
	}
}

// TestZeroCopyInOneChunk: zero-copy sockets are not asked for frames of several chunks where all fit one, since the kernel then makes
// the chunks smaller for what it receives.
func TestZeroCopyInOneChunk(t *testing.T) {
	for _, tc := range []struct {
		mtu, chunks int // of the program; 0: there is none
		chunk       uint32
		want        bool
	}{
		{1500, 0, 0, false}, {1500, 1, 0, false}, {1900, 0, 0, false}, {1900, 2, 0, true}, {1900, 0, 2048, false}, {3000, 0, 0, false},
		{3000, 1, 4096, false}, {3000, 0, 2048, true}, {3986, 0, 0, false}, {3987, 0, 0, true}, {9000, 0, 0, true}, {9000, 1, 0, true},
		{9000, 3, 0, true},
	} {
		t.Run(fmt.Sprintf("%+v", tc), func(t *testing.T) {
			card := fakeCard
			card.MTU = tc.mtu
			set := newSet(t, fakeRoutes{card.Name: card}, nil)
			set.Opts.Socket.ChunkSize = tc.chunk
			var p *Program
			if tc.chunks > 0 {
				p = set.NewProgram(card.Index, card.Name)
				p.Queues, p.FrameChunks = 1, tc.chunks
			}
			d := set.NewDevice(card, 1, p)
			if o := d.SocketOptions(0); !o.MultiBuffer {
				t.Error("copy mode is not asked for frames of several chunks")
			} else if got := d.wantsSeveral(&o); got != tc.want {
				t.Errorf("asks for frames of several chunks: %v", got)
			}
		})
	}
}
