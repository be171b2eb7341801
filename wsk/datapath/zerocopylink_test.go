// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// noCarrier is a link that is set up, without a cable.
var noCarrier = send.LinkState{Exists: true, Up: true}

// allPending checks that none has ended.
func allPending(t *testing.T, irps []*wsk.IRP) {
	t.Helper()
	for i, irp := range irps {
		if !pending(irp) {
			t.Fatalf("IRP %d ended with %v without a carrier", i, irp.IoStatus.Status)
		}
	}
}

// loseSocket has the queue's socket replaced, after meanwhile was done with no socket there.
func (d *fakeDriver) loseSocket(meanwhile func(dev *device.Device)) {
	d.t.Helper()
	dev := d.dp.devices.Known(1)
	q := dev.Opened()[0]
	refused, allowed := make(chan struct{}), make(chan struct{})
	reopen, first := q.Reopen, true
	q.KickMu.Lock()
	q.Reopen = func() (xdp.Queue, error) {
		if first {
			first = false
			close(refused)
			<-allowed
			return nil, errors.New("not yet")
		}
		return reopen()
	}
	q.Breakdown("a test", wsk.STATUS_IO_TIMEOUT)
	q.UnlockKick()
	<-refused
	meanwhile(dev)
	close(allowed)
}

// TestZeroCopyOpenedWithoutCarrier: a queue that is opened, or gets a new socket, on a link without a carrier waits for it from the
// start. Its driver says nothing of it, and virtio-net would take the frames, lose them and complete them.
func TestZeroCopyOpenedWithoutCarrier(t *testing.T) {
	for name, begin := range map[string]func(d *fakeDriver){
		"opened": func(d *fakeDriver) {
			d.setLink(noCarrier)
			d.dp.deviceDeleted(1) // with its queues; the next datagram opens new ones
			d.socket = d.client.socket("0.0.0.0:0")
		},
		"lost while the socket is replaced": func(d *fakeDriver) {
			d.loseSocket(func(dev *device.Device) {
				d.setLink(noCarrier)
				dev.CarrierLost()
			})
			d.awaitState("down")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFakeDriver(t, xdptest.Config{}, Options{})
			begin(d)
			irps := sendAll(d.socket, d.to, 20)
			testenv.Eventually(t, waitLimit, "all of them to wait", func() bool {
				return someQueue(d.dp, func(q QueueInfo) bool { return q.State == "down" && q.Waiting == len(irps) })
			})
			allPending(t, irps)
			if !irps[3].Cancel() {
				t.Error("can't be cancelled")
			}
			d.awaitAll(irps[3:4], wsk.STATUS_CANCELLED)
			d.setLink(send.LinkState{Exists: true, Up: true, Carrier: true})
			d.dp.devices.Known(1).LinkUp()
			d.awaitAll(append(irps[:3:3], irps[4:]...), wsk.STATUS_SUCCESS)
			d.awaitState("up")
		})
	}
}

// TestZeroCopyBackWhileReplaced: the carrier comes back while the socket is replaced, and nobody says so again.
func TestZeroCopyBackWhileReplaced(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{}, Options{})
	d.setLink(noCarrier)
	d.dp.devices.Known(1).CarrierLost()
	d.awaitState("down")
	d.loseSocket(func(dev *device.Device) {
		d.setLink(send.LinkState{Exists: true, Up: true, Carrier: true})
		dev.LinkUp()
	})
	d.awaitAll(sendAll(d.socket, d.to, 20), wsk.STATUS_SUCCESS)
	d.awaitState("up")
}

// TestZeroCopySetUpWithoutCarrier: a link that is set up by the administrator has no carrier for that.
func TestZeroCopySetUpWithoutCarrier(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{}, Options{})
	dev := d.dp.devices.Known(1)
	d.setLink(noCarrier)
	dev.CarrierLost()
	d.awaitState("down")
	irps := sendAll(d.socket, d.to, 20)
	dev.LinkUp()
	q := dev.Opened()[0]
	q.PollOnce(new(send.StallWatch)) // what the poller was woken for, at the latest now
	allPending(t, irps)
	if state := d.queue().State; state != "down" {
		t.Errorf("state %s", state)
	}
	d.setLink(send.LinkState{Exists: true, Up: true, Carrier: true})
	dev.LinkUp()
	d.awaitAll(irps, wsk.STATUS_SUCCESS)
}
