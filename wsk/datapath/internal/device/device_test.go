// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestDeviceGoesWhileOpening: a queue that is open at last when its device has gone is closed again.
func TestDeviceGoesWhileOpening(t *testing.T) {
	set := newSet(t, nil, nil)
	var k *xdptest.Kernel
	set.Open = func(d *Device, _ int) (_ xdp.Queue, err error) {
		k, err = xdptest.New(xdptest.Config{})
		d.retire()
		return k, err
	}
	d, err := set.deviceFor(fakeCard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(0); !errors.Is(err, errDeviceGone) {
		t.Errorf("open: %v", err)
	}
	if !k.Closed() {
		t.Error("its socket is open")
	}
}
