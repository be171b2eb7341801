// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestCompletedWhileHeld: netlink says late that the carrier is gone, and the driver goes on sending what the queue has made
// cancellable meanwhile. What has completed can't be cancelled any more, before and after the link is said to be up.
//
// Invariant I4.
func TestCompletedWhileHeld(t *testing.T) {
	for _, resumed := range []bool{false, true} {
		d := newFakeDriver(t, xdptest.Config{}, Options{})
		k := d.kernels.newest()
		d.running.Store(false)
		irps := sendAll(d.socket, d.to, 3)
		testenv.Eventually(t, waitLimit, "frames in the ring", func() bool { return d.queue().InFlight == 3 })
		d.setLink(linkState{exists: true, up: true})
		d.dp.knownDevice(1).carrierLost()
		d.awaitState("down")
		k.HoldCompletions(resumed)
		k.Poll()
		if resumed {
			d.dp.knownDevice(1).linkUp()
			k.CompleteHeld(-1, xdptest.InOrder, 0)
		}
		d.awaitAll(irps, wsk.STATUS_SUCCESS)
		for i, irp := range irps {
			if irp.Cancel() {
				t.Errorf("IRP %d was cancelled after its completion", i)
			}
		}
	}
}
