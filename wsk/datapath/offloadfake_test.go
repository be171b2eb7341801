// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

func onlyQueue(dp *Datapath) (only *send.Queue) {
	dp.devices.EachQueue(func(q *send.Queue) { only = q })
	return only
}

// onlyHalf is the receiving half of the only queue.
func onlyHalf(dp *Datapath) (only *receive.Queue) {
	dp.devices.Each(func(d *device.Device) { only = d.Received()[0] })
	return only
}

// prove4 makes the only queue believe that a proof for IPv4 has succeeded, whatever the real one said.
func prove4(t testing.TB, dp *Datapath) {
	t.Helper()
	testenv.Eventually(t, waitLimit, "the end of the real proof", func() bool { return send.TrustOffload(onlyQueue(dp)) })
}

// TestOffloadAllocatesNothing is TestSendAllocatesNothing with the checksums left to the other side, segments included.
func TestOffloadAllocatesNothing(t *testing.T) {
	kernels := &fakeKernels{config: xdptest.Config{TxChunks: 512, Budget: -1, Offload: xdp.OffloadDriver}}
	c := benchSocketOver(t, 1, 1, kernels.open)
	prove4(t, c.dp)
	to := wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo))
	for _, size := range []int{0, 18, 1472} {
		p := newPump(c.sockets[0], size, to, 4)
		before := offloaded(c.dp)
		if n := testing.AllocsPerRun(1000, p.send); n != 0 {
			t.Errorf("%d bytes: %v allocations per datagram", size, n)
		}
		p.drain()
		if did := offloaded(c.dp) - before; did != 1001 {
			t.Errorf("%d bytes: %d of 1001 checksums left to the other side", size, did)
		}
	}
	control := wsk.AppendSendMsgSize(nil, 100)
	irp, buf := new(pumpIRP), mdl(pattern(5000), 333, 1234)
	if n := testing.AllocsPerRun(100, func() {
		irp.ready(pumpRoutine)
		c.sockets[0].SendTo(buf, 0, to, control, &irp.IRP)
	}); n != 0 {
		t.Errorf("segments: %v allocations per send", n)
	}
	testenv.Eventually(t, waitLimit, "the last one to come back", func() bool { return !irp.busy() })
}
