// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// TestZeroCopyByWord: a driver that does not announce zero-copy is not asked for it, unless that is all that will do, and what it
// announces is asked again after a while.
func TestZeroCopyByWord(t *testing.T) {
	_, set, rd := labSet(t, testenv.AFXDP, testenv.Topology{})
	d, err := set.deviceFor(rd)
	if err != nil {
		t.Fatal(err)
	}
	open := func() (xdp.Granted, error) {
		t.Helper()
		sock, err := set.OpenSocket(d, 0)
		if err != nil {
			return xdp.Granted{}, err
		}
		defer sock.Close()
		return sock.Granted(), nil
	}
	asked := func(err error) bool { // the kernel, with a socket
		var op *xdp.OpError
		return errors.As(err, &op)
	}
	g, err := open()
	if f := d.facts.known; f.DeviceErr != nil {
		t.Logf("this kernel does not tell what drivers can: %v", f.DeviceErr)
		return
	}
	if err != nil || g.Mode != xdp.ModeCopy || !errors.Is(g.FallbackReason, unix.EOPNOTSUPP) || asked(g.FallbackReason) {
		t.Errorf("%v because of %v, %v", g.Mode, g.FallbackReason, err)
	}
	const everything = ^nic.XDPFeatures(0)
	d.facts.known.Device.XDP = everything
	d.facts.until = time.Now()
	if g, err := open(); err != nil || asked(g.FallbackReason) || d.facts.known.Device.XDP == everything {
		t.Errorf("after the pause: %v because of %v, %v, want what the driver says now", g.Mode, g.FallbackReason, err)
	}
	set.Opts.Socket.Mode = xdp.ModeZeroCopy
	if _, err := open(); !asked(err) || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("zero-copy by name: %v, want the kernel's answer", err)
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
