// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestNICCarrierClose closes two sockets and then the datapath while the cable is out: that ends in bounded time, nothing stays pending,
// and the interface is as before.
//
// Invariants I1 and I8.
func TestNICCarrierClose(t *testing.T) {
	lab := newCableLab(t)
	lab.knowEachOther()
	before := lab.state(lab.A)
	dp := lab.open(lab.A, sendOptions(lab))
	lab.waitCarrier()
	n := startParcels(t, lab, dp, carrierWindow, 7830)
	resumes(t, dp, sentFrames(dp))
	waiting := n.pull(lab, dp)
	n.end()
	ofClosed := make(map[uint32]*wsk.IRP)
	for number, irp := range waiting {
		if number%4 < 2 {
			ofClosed[number] = irp
		}
	}
	bounded(t, "close sockets", func() {
		closeSocket(t, n.sockets[0])
		closeSocket(t, n.sockets[1])
	})
	n.awaitEnds("of closed sockets", ofClosed, wsk.STATUS_CANCELLED)
	if len(n.pending()) == 0 {
		t.Error("closing two sockets ended the others' operations")
	}
	bounded(t, "close the datapath", func() {
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
	})
	n.awaitEnds("all", waiting, wsk.STATUS_CANCELLED)
	testenv.Eventually(t, nicPatience, "the interface to be as before", func() bool { return lab.state(lab.A) == before })
	b := n.settle()
	t.Log(b)
	only(t, b.counts, wsk.STATUS_CANCELLED)
}

// bounded does what must come to an end.
func bounded(t *testing.T, what string, do func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		do()
	}()
	select {
	case <-ended:
	case <-time.After(nicPatience):
		t.Fatalf("%s: hangs", what)
	}
}

// TestNICCarrierOpen opens a datapath while the cable is out: it does not wait for it, what is sent waits, and arrives when the cable is
// plugged.
func TestNICCarrierOpen(t *testing.T) {
	lab := newCableLab(t)
	lab.knowEachOther()
	lab.cable(endA, false)
	testenv.Eventually(t, nicPatience, "the carrier to go", func() bool { return !carrierOf(lab.A) })
	dp := lab.open(lab.A, sendOptions(lab))
	wantZeroCopy(t, dp, lab.queues(4))
	n := startParcels(t, lab, dp, carrierWindow, 7832)
	testenv.Eventually(t, nicPatience, "every queue to show it", func() bool { return queuesAre(dp, "down") })
	waiting := n.pause()
	if len(waiting) != int(n.next()) {
		t.Errorf("%d datagrams were sent without a carrier, %d of them wait", n.next(), len(waiting))
	}
	rest := n.cancelSome(waiting)
	n.plug(lab)
	n.awaitEnds("what waited", rest, wsk.STATUS_SUCCESS)
	n.resume()
	resumes(t, dp, 0)
	b := n.settle()
	t.Logf("%v%s", b, describeQueues(dp))
	only(t, b.counts, wsk.STATUS_CANCELLED)
	for number := range rest {
		if b.lost[number] {
			t.Errorf("datagram %d waited for the cable, succeeded, and never arrived", number)
		}
	}
	wantZeroCopy(t, dp, lab.queues(4))
}
