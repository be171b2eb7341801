// SPDX-License-Identifier: Apache-2.0

package device

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// TestFrameChunks: the program gives the sockets frames of several chunks where the MTU asks for them and every socket that there may
// be takes them, and no more chunks than are free while clients hold all that they may.
//
// issue 12, 6.
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
