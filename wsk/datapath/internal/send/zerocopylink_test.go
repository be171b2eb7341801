// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

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
func (d *fakeDriver) loseSocket(meanwhile func()) {
	d.t.Helper()
	q := d.queue()
	refused, allowed := make(chan struct{}), make(chan struct{})
	reopen, first := q.reopen, true
	q.kickMu.Lock()
	q.reopen = func() (xdp.Queue, error) {
		if first {
			first = false
			close(refused)
			<-allowed
			return nil, errors.New("not yet")
		}
		return reopen()
	}
	q.breakDown("a test", wsk.STATUS_IO_TIMEOUT)
	q.unlockKick()
	<-refused
	meanwhile()
	close(allowed)
}

// TestZeroCopyOpenedWithoutCarrier: a queue that is opened, or gets a new socket, on a link without a carrier waits for it from the
// start. Its driver says nothing of it, and virtio-net would take the frames, lose them and complete them.
func TestZeroCopyOpenedWithoutCarrier(t *testing.T) {
	for name, begin := range map[string]func(d *fakeDriver){
		"opened": func(d *fakeDriver) {
			d.dev.setLink(noCarrier)
			d.deleteQueue() // the next datagram opens another
			d.socket = d.rig.socket()
		},
		"lost while the socket is replaced": func(d *fakeDriver) {
			d.loseSocket(func() {
				d.dev.setLink(noCarrier)
				d.queue().CarrierLost()
			})
			d.awaitState("down")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFakeDriver(t, xdptest.Config{})
			begin(d)
			irps := sendAll(d.socket, d.to, 20)
			testenv.Eventually(t, waitLimit, "all of them to wait", func() bool {
				q := d.info()
				return q.State == "down" && q.Waiting == len(irps)
			})
			allPending(t, irps)
			if !irps[3].Cancel() {
				t.Error("can't be cancelled")
			}
			awaitAll(t, irps[3:4], wsk.STATUS_CANCELLED)
			d.dev.setLink(linked)
			d.queue().LinkUp()
			awaitAll(t, append(irps[:3:3], irps[4:]...), wsk.STATUS_SUCCESS)
			d.awaitState("up")
		})
	}
}

// TestZeroCopyBackWhileReplaced: the carrier comes back while the socket is replaced, and nobody says so again.
func TestZeroCopyBackWhileReplaced(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{})
	d.dev.setLink(noCarrier)
	d.queue().CarrierLost()
	d.awaitState("down")
	d.loseSocket(func() {
		d.dev.setLink(linked)
		d.queue().LinkUp()
	})
	awaitAll(t, sendAll(d.socket, d.to, 20), wsk.STATUS_SUCCESS)
	d.awaitState("up")
}

// TestZeroCopySetUpWithoutCarrier: a link that is set up by the administrator has no carrier for that.
func TestZeroCopySetUpWithoutCarrier(t *testing.T) {
	d := newFakeDriver(t, xdptest.Config{})
	d.dev.setLink(noCarrier)
	d.queue().CarrierLost()
	d.awaitState("down")
	irps := sendAll(d.socket, d.to, 20)
	d.queue().LinkUp()
	q := d.queue()
	q.poll.once(&stallWatch{q: q}) // what the poller was woken for, at the latest now
	allPending(t, irps)
	if state := d.info().State; state != "down" {
		t.Errorf("state %s", state)
	}
	d.dev.setLink(linked)
	d.queue().LinkUp()
	awaitAll(t, irps, wsk.STATUS_SUCCESS)
}
