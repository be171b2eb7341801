// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestNICCarrierReceive pulls the cable of either end while datagrams come in, and opens the receiver with the cable out: they arrive
// again through AF_XDP, on the same sockets.
func TestNICCarrierReceive(t *testing.T) {
	lab := newCableLab(t)
	lab.knowEachOther()
	lab.cable(endA, false)
	testenv.Eventually(t, nicPatience, "the carrier to go", func() bool { return !carrierOf(lab.A) })
	dp := lab.open(lab.A, Options{Receive: []string{lab.A.If.Name()}, SpreadReceive: true})
	t.Cleanup(func() { dp.Close() })
	flows := bindIPv4Flows(t, dp, 7640)
	lab.cable(endA, true)
	lab.waitCarrier()
	receiveUnderLoad(t, lab, flows, func(func() int) {
		for _, end := range []int{endA, endB} {
			host := []*testenv.Host{lab.A, lab.B}[end]
			lab.cable(end, false)
			testenv.Eventually(t, nicPatience, "the carrier to go", func() bool { return !carrierOf(host) })
			lab.cable(end, true)
			lab.waitCarrier()
			arrivesAgain(t, dp)
		}
	})
	if n := rebuilds(dp); n != 0 {
		t.Errorf("%d sockets were replaced", n)
	}
	wantZeroCopy(t, dp, lab.inspect(lab.A).TxQueues.N)
	t.Log(describeQueues(dp))
}
