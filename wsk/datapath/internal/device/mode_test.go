// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestZeroCopyIsAskedOnce: a driver that neither announces zero-copy nor grants it is not asked for each queue, unless
// zero-copy is all that will do; the reason is that of the first. After a while it is asked again.
func TestZeroCopyIsAskedOnce(t *testing.T) {
	two := testenv.End{TX: 2, RX: 2}
	_, set, rd := labSet(t, testenv.AFXDP, testenv.Topology{A: two, B: two})
	d, err := set.deviceFor(rd)
	if err != nil {
		t.Fatal(err)
	}
	open := func(slot int) xdp.Granted {
		t.Helper()
		sock, err := set.OpenSocket(d, slot)
		if err != nil {
			t.Fatal(err)
		}
		defer sock.Close()
		return sock.Granted()
	}
	first := open(0)
	if f := d.facts.known; f.DeviceErr != nil {
		t.Logf("this kernel does not tell what drivers can: %v", f.DeviceErr)
		return
	}
	why := d.zeroCopy.reasonMissing(time.Now())
	if first.Mode != xdp.ModeCopy || !errors.Is(first.FallbackReason, unix.EOPNOTSUPP) || !errors.Is(why, unix.EOPNOTSUPP) {
		t.Fatalf("%v because of %v, remembered %v", first.Mode, first.FallbackReason, why)
	}
	reason := fmt.Errorf("remembered: %w", xdp.ErrNotSupported)
	d.zeroCopy.noteMissing(reason, time.Now())
	if g := open(1); g.Mode != xdp.ModeCopy || !errors.Is(g.FallbackReason, reason) {
		t.Errorf("the second queue: %v because of %v", g.Mode, g.FallbackReason)
	}
	d.zeroCopy.noteMissing(reason, time.Now().Add(-missingPause))
	if g := open(1); g.Mode != xdp.ModeCopy || errors.Is(g.FallbackReason, reason) || !errors.Is(g.FallbackReason, unix.EOPNOTSUPP) {
		t.Errorf("after the pause: %v because of %v, want the driver's own answer", g.Mode, g.FallbackReason)
	}
	set.Opts.Socket.Mode = xdp.ModeZeroCopy
	d.zeroCopy.noteMissing(reason, time.Now())
	if _, err := set.OpenSocket(d, 1); err == nil || errors.Is(err, reason) {
		t.Errorf("zero-copy by name: %v, want the driver's own answer", err)
	}
}

// TestRefusedMeansCopy: copy mode follows a lack of zero-copy, not a lack of the device.
func TestRefusedMeansCopy(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&xdp.FeatureError{Name: "x"}, true}, {errDeviceGone, false}, {errAwaitsReceiving, false},
	} {
		if _, got := xdp.CopyAfter(t.Context(), xdp.Options{}, c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
