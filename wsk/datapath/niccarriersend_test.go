// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// carrierWindow is how many IRPs are under way: enough to fill no ring of the emulated NICs.
const carrierWindow = 96

func queuesAre(dp *Datapath, state string) bool {
	return !someQueue(dp, func(q QueueInfo) bool { return q.State != state })
}

func rebuilds(dp *Datapath) (n uint64) {
	for _, q := range dp.Info().Queues {
		n += q.Rebuilds
	}
	return n
}

// pull takes the cable out under load, waits until the datapath knows it and everything waits, and returns what does. Frames that
// the driver had taken, or takes because it was woken for them before, come back first: they are lost, and nothing tells them from
// those that were sent.
func (n *parcels) pull(lab *nicLab, dp *Datapath) map[uint32]*wsk.IRP {
	n.t.Helper()
	lab.cable(endA, false)
	testenv.Eventually(n.t, nicPatience, "the carrier to go", func() bool { return !carrierOf(lab.A) })
	known := time.Now()
	testenv.Eventually(n.t, nicPatience, "every queue to show it", func() bool { return queuesAre(dp, "down") })
	late := time.Since(known)
	before := sentFrames(dp)
	for last, quiet := before, 0; quiet < 500; quiet++ { // looks and not time: a guest may be stopped for a while
		time.Sleep(time.Millisecond)
		if now := sentFrames(dp); now != last {
			last, quiet = now, 0
		}
	}
	n.t.Logf("queues were down %v after the carrier; then the driver gave back %d frames", late.Round(time.Millisecond), sentFrames(dp)-before)
	return n.pause()
}

// plug puts the cable back.
func (n *parcels) plug(lab *nicLab) {
	n.t.Helper()
	lab.cable(endA, true)
	lab.waitCarrier()
}

// cancelSome cancels every fourth of what waits, sees them end so, and returns the rest.
func (n *parcels) cancelSome(waiting map[uint32]*wsk.IRP) (rest map[uint32]*wsk.IRP) {
	n.t.Helper()
	rest, cancelled := make(map[uint32]*wsk.IRP), make(map[uint32]*wsk.IRP)
	for number, irp := range waiting {
		if number%4 != 1 {
			rest[number] = irp
			continue
		}
		cancelled[number] = irp
		irp.Cancel() // may say no while the queue's socket is replaced for one before; how it ends is what counts
	}
	n.awaitEnds("cancelled", cancelled, wsk.STATUS_CANCELLED)
	return rest
}

// TestNICCarrierSend pulls the cable while four queues send: what the driver has not taken waits, shows as that, and arrives when the
// cable is back, without a new socket. What is cancelled meanwhile ends at once and never arrives.
func TestNICCarrierSend(t *testing.T) {
	lab := newCableLab(t)
	lab.knowEachOther()
	dp := lab.open(lab.A, sendOptions(lab))
	lab.waitCarrier()
	n := startParcels(t, lab, dp, carrierWindow, 7820)
	held := make(map[uint32]bool)
	resumes(t, dp, 0)
	for _, cancel := range []bool{false, true} {
		built := rebuilds(dp)
		waiting := n.pull(lab, dp)
		completed := sentFrames(dp)
		if cancel {
			waiting = n.cancelSome(waiting)
		}
		if got := sentFrames(dp); got != completed {
			t.Errorf("%d frames were completed without a carrier", got-completed)
		}
		n.plug(lab)
		n.awaitEnds("what waited", waiting, wsk.STATUS_SUCCESS)
		n.resume()
		resumes(t, dp, completed)
		if got := rebuilds(dp); !cancel && got != built {
			t.Errorf("%d sockets were replaced", got-built)
		}
		for number := range waiting {
			held[number] = true
		}
	}
	b := n.settle()
	t.Logf("%v%s", b, describeQueues(dp))
	only(t, b.counts, wsk.STATUS_CANCELLED)
	for number := range b.lost {
		if held[number] {
			t.Errorf("datagram %d waited for the cable, succeeded, and never arrived", number)
		}
	}
	wantZeroCopy(t, dp, lab.queues(4))
}

// TestNICCarrierCopy is the same in copy mode, where the kernel drops what is sent without a carrier, and says so.
func TestNICCarrierCopy(t *testing.T) {
	lab := newCableLab(t)
	lab.knowEachOther()
	dp := lab.open(lab.A, Options{Queues: 4, Interfaces: []string{lab.A.If.Name()}, Socket: xdp.Options{Mode: xdp.ModeCopy}})
	lab.waitCarrier()
	n := startParcels(t, lab, dp, carrierWindow, 7821)
	resumes(t, dp, sentFrames(dp))
	lab.cable(endA, false)
	testenv.Eventually(t, nicPatience, "IRPs to fail", func() bool { return n.ends(wsk.STATUS_NETWORK_UNREACHABLE) > 500 })
	n.plug(lab)
	count := n.receiver.Count()
	testenv.Eventually(t, nicPatience, "datagrams to arrive", func() bool { return n.receiver.Count() > count+500 })
	b := n.settle()
	t.Logf("%v%s", b, describeQueues(dp))
	// Whether there is a carrier is asked every few milliseconds, not for each drop.
	if busy := b.counts[wsk.STATUS_NETWORK_BUSY]; busy > carrierWindow {
		t.Errorf("%d datagrams were dropped for another reason than the carrier", busy)
	}
	only(t, b.counts, wsk.STATUS_NETWORK_UNREACHABLE, wsk.STATUS_NETWORK_BUSY)
	if rebuilds(dp) != 0 {
		t.Error("sockets were replaced")
	}
}
