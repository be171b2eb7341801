// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// nicDatagrams is how many datagrams are sent each way.
const nicDatagrams = 100_000

// TestNICSend sends over four zero-copy queues to the kernel's UDP stack: every IRP ends, in success, and each queue accounts for
// its own completions. What an emulated NIC loses on receive is not ours.
func TestNICSend(t *testing.T) {
	lab := newNICLab(t)
	dp := lab.open(lab.A, Options{Queues: 4, Interfaces: []string{lab.A.If.Name()}, Socket: xdp.Options{Mode: xdp.ModeZeroCopy}})
	c := newClient(t, dp)
	queues := lab.queues(4)
	wantZeroCopy(t, dp, queues)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), 7800), testenv.UDPReceiverOptions{CountOnly: true})
	sockets := make([]*wsk.Socket, 4)
	for i := range sockets {
		sockets[i] = c.socket("10.77.0.1:0")
	}
	to := sockaddr(lab.B.IPv4(), 7800)
	ledger := newLedger(t, 128)
	for i := range nicDatagrams {
		ledger.send(sockets[i%len(sockets)], whole(binary.BigEndian.AppendUint32(make([]byte, 14), uint32(i))), to)
	}
	counts := ledger.end()
	t.Logf("%s: statuses %v; %d of %d arrived%s", lab.driver(lab.A), counts, receiver.Count(), nicDatagrams, describeQueues(dp))
	if counts[wsk.STATUS_SUCCESS] != nicDatagrams || total(counts) != nicDatagrams {
		t.Errorf("%d IRPs ended, %d of them in success, want %d", total(counts), counts[wsk.STATUS_SUCCESS], nicDatagrams)
	}
	if receiver.Count() < nicDatagrams/2 {
		t.Errorf("%d of %d datagrams arrived", receiver.Count(), nicDatagrams)
	}
	var submitted uint64
	for _, q := range dp.Info().Queues {
		submitted += q.Submitted
		if q.Submitted != q.Completed || q.Foreign != 0 || q.Rebuilds != 0 {
			t.Errorf("queue %d: %d submitted, %d completed, %d foreign, %d rebuilds", q.Queue, q.Submitted, q.Completed, q.Foreign, q.Rebuilds)
		}
		if len(sockets) >= queues && q.Submitted < nicDatagrams/8 {
			t.Errorf("queue %d sent only %d frames: the sockets are not spread", q.Queue, q.Submitted)
		}
	}
	if submitted != nicDatagrams {
		t.Errorf("%d frames in all queues, want %d", submitted, nicDatagrams)
	}
}
