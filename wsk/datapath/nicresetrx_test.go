// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// receiveUnderLoad has the kernel of the other end send to eight flows while disturb works.
func receiveUnderLoad(t *testing.T, lab *nicLab, flows []*nicFlow, disturb func(count func() int)) {
	t.Helper()
	count := func() int { n, _ := receivedAll(flows); return n }
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		sender, err := testenv.NewUDPSender(lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort("10.77.0.2:0")})
		if err != nil {
			t.Error(err)
			return
		}
		defer sender.Close()
		pace := newPace(64)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			// While the link is down there is no way; that is what the test is about.
			_ = sender.Send(flows[n%len(flows)].port.addr(), binary.BigEndian.AppendUint32(make([]byte, 0, 18), uint32(n)))
			pace.wait(n+1, count)
		}
	}()
	defer func() { close(stop); <-stopped }()
	testenv.Eventually(t, nicPatience, "load", func() bool { return count() > 500 })
	disturb(count)
}

// bindIPv4Flows binds endpoints to one address of the host.
func bindIPv4Flows(t *testing.T, dp *Datapath, firstPort int) []*nicFlow {
	t.Helper()
	var flows []*nicFlow
	for i := range 8 {
		f := &nicFlow{port: bind(t, dp, netip.AddrPortFrom(netip.MustParseAddr("10.77.0.1"), uint16(firstPort+i)).String())}
		f.last.Store(-1)
		f.port.setHook(f.hook)
		flows = append(flows, f)
	}
	return flows
}

// arrivesAgain waits until a good number more has come through AF_XDP.
func arrivesAgain(t *testing.T, dp *Datapath) {
	t.Helper()
	frames := func() (n uint64) {
		for _, q := range dp.Info().Queues {
			if q.Receive != nil {
				n += q.Receive.Frames
			}
		}
		return n
	}
	before := frames()
	testenv.Eventually(t, nicPatience, "frames to arrive through AF_XDP", func() bool { return frames() > before+500 })
}

// TestNICReceiveReset resets the NIC under receive load: chunks that the driver had are back in its ring or ours, and reception
// goes on, in zero-copy.
func TestNICReceiveReset(t *testing.T) {
	lab := newNICLab(t)
	lab.skipWhereDownDeadlocks()
	dp := lab.open(lab.A, Options{Receive: []string{lab.A.If.Name()}, SpreadReceive: true})
	t.Cleanup(func() { dp.Close() })
	lab.waitCarrier()
	flows := bindIPv4Flows(t, dp, 7600)
	receiveUnderLoad(t, lab, flows, func(count func() int) {
		for _, mtu := range []int{1400, 1500} {
			if err := lab.A.If.SetMTU(mtu); err != nil {
				t.Logf("MTU %d: %v", mtu, err)
			}
			lab.waitCarrier()
			arrivesAgain(t, dp)
		}
		for range 2 {
			if err := lab.A.If.SetDown(); err != nil {
				t.Error(err)
			}
			if err := lab.A.If.SetUp(); err != nil {
				t.Error(err)
			}
			lab.waitCarrier()
			arrivesAgain(t, dp)
		}
		if err := restartAutonegotiation(lab.A); err == nil {
			lab.waitCarrier()
			arrivesAgain(t, dp)
		}
	})
	wantZeroCopy(t, dp, lab.inspect(lab.A).TxQueues.N)
	t.Log(describeQueues(dp))
}

// TestNICReceiveUnbind takes the driver of a receiving NIC away and puts it back: the interface is received on again as soon
// as one of its name is there, without anybody's help.
func TestNICReceiveUnbind(t *testing.T) {
	nameA, _ := nicNames(t)
	driver, device := bus(t, nameA)
	lab := newNICLab(t)
	dp := lab.open(lab.A, Options{Receive: []string{nameA}, SpreadReceive: true})
	t.Cleanup(func() { dp.Close() })
	flows := bindIPv4Flows(t, dp, 7600)
	lab.waitCarrier()
	queues := len(dp.Info().Queues)
	receiveUnderLoad(t, lab, flows, func(func() int) {
		unbound := make(chan error, 1)
		go func() { unbound <- os.WriteFile(driver+"/unbind", []byte(device), 0) }()
		select {
		case err := <-unbound:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(nicPatience):
			t.Fatal("the driver waits for us")
		}
		testenv.Eventually(t, nicPatience, "the datapath to hear of it", func() bool { return len(dp.Info().Programs) == 0 })
		lab.bringBack(driver, device, nameA)
		testenv.Eventually(t, nicPatience, "the interface to be received on", func() bool {
			info := dp.Info()
			return len(info.Programs) == 1 && len(info.Queues) == queues
		})
	})
	for _, f := range flows {
		f.port.close() // they died with the address
	}
	again := bindIPv4Flows(t, dp, 7620)
	lab.waitCarrier()
	receiveUnderLoad(t, lab, again, func(func() int) { arrivesAgain(t, dp) })
	for _, q := range dp.Info().Queues {
		if q.Granted.Mode != xdp.ModeZeroCopy {
			t.Errorf("queue %d: %v because of %v", q.Queue, q.Granted.Mode, q.Granted.FallbackReason)
		}
	}
}
