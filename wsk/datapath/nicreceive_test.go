// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// nicFlow is one flow at its receiving end.
type nicFlow struct {
	port       *port
	count      atomic.Int64
	last       atomic.Int64 // number of the last datagram, -1 before the first
	disordered atomic.Int64
}

// hook counts, and looks whether the numbers grow.
func (f *nicFlow) hook(list *wsk.Datagram) {
	for list != nil {
		next := list.Next
		if number := int64(binary.BigEndian.Uint32(list.Payload)); f.last.Swap(number) >= number {
			f.disordered.Add(1)
		}
		f.count.Add(1)
		list.Release()
		list = next
	}
}

// bindFlows binds n endpoints, every fourth over IPv6.
func bindFlows(t *testing.T, dp *Datapath, host *testenv.Host, n, firstPort int) []*nicFlow {
	t.Helper()
	flows := make([]*nicFlow, n)
	for i := range flows {
		addr := host.IPv4()
		if i%4 == 3 {
			addr = host.IPv6()
		}
		f := &nicFlow{port: bind(t, dp, netip.AddrPortFrom(addr, uint16(firstPort+i)).String())}
		f.last.Store(-1)
		f.port.setHook(f.hook)
		flows[i] = f
	}
	return flows
}

// receivedAll sums up what the flows got.
func receivedAll(flows []*nicFlow) (n, disordered int) {
	for _, f := range flows {
		n += int(f.count.Load())
		disordered += int(f.disordered.Load())
	}
	return n, disordered
}

// settled waits until nothing more arrives, or all has.
func settled(t *testing.T, count func() int, all int) int {
	t.Helper()
	last, since := -1, time.Now()
	testenv.Eventually(t, nicPatience, "arrivals to end", func() bool {
		if n := count(); n != last {
			last, since = n, time.Now()
		}
		return last >= all || time.Since(since) > 2*time.Second
	})
	return last
}

// checkSpread checks that each queue with a socket received something, and that what the kernel dropped is not ours.
func checkSpread(t *testing.T, dp *Datapath) {
	t.Helper()
	for _, q := range dp.Info().Queues {
		r := q.Receive
		if r == nil {
			t.Errorf("queue %d does not receive", q.Queue)
			continue
		}
		if r.Frames == 0 {
			t.Errorf("nothing came in on queue %d: flows are not spread", q.Queue)
		}
		if r.Foreign != 0 || r.Kernel.RxInvalidDescs != 0 {
			t.Errorf("queue %d: %d foreign descriptors, kernel %+v", q.Queue, r.Foreign, r.Kernel)
		}
	}
}

// TestNICReceive receives what the kernel of the other end sends, over all queues: each flow in order, nothing outside AF_XDP
// but what the queues without a socket pass, and the flow hash of the NIC as before in the end.
func TestNICReceive(t *testing.T) {
	lab := newNICLab(t)
	before := hashes(lab, lab.A)
	dp := lab.open(lab.A, Options{Receive: []string{lab.A.If.Name()}, SpreadReceive: true, Socket: xdp.Options{Mode: xdp.ModeZeroCopy}})
	closed := false
	t.Cleanup(func() {
		if !closed {
			dp.Close()
		}
	})
	wantZeroCopy(t, dp, lab.inspect(lab.A).TxQueues.N)
	lab.waitCarrier()
	const flows = 32
	ports := bindFlows(t, dp, lab.A, flows, 7900)
	senders := make([]*testenv.UDPSender, flows)
	for i := range senders {
		source := "10.77.0.2:0"
		if i%4 == 3 {
			source = "[fd77::2]:0"
		}
		senders[i] = testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort(source)})
	}
	payload := make([]byte, 18)
	count := func() int { n, _ := receivedAll(ports); return n }
	pinThread(t)
	// What waits for a neighbour leaves from another processor.
	for _, addr := range []netip.Addr{lab.A.IPv4(), lab.A.IPv6()} {
		if err := lab.B.If.SetNeighbour(addr, lab.A.If.MAC()); err != nil {
			t.Fatal(err)
		}
	}
	pace := newPace(64)
	for k := range nicDatagrams / flows {
		binary.BigEndian.PutUint32(payload, uint32(k))
		for i, s := range senders {
			if err := s.Send(ports[i].port.addr(), payload); err != nil {
				t.Fatal(err)
			}
			pace.wait(k*flows+i+1, count)
		}
	}
	all := nicDatagrams / flows * flows
	got := settled(t, count, all)
	_, disordered := receivedAll(ports)
	info := dp.Info()
	t.Logf("%s: %d of %d arrived, %d out of order, %d through the companion sockets%s", lab.driver(lab.A), got, all, disordered,
		info.CompanionReceived, describeQueues(dp))
	if got < all/2 || got > all {
		t.Errorf("%d of %d datagrams arrived", got, all)
	}
	if disordered != 0 {
		t.Errorf("%d datagrams came after a later one of their flow", disordered)
	}
	checkSpread(t, dp)
	for _, p := range ports {
		p.port.close()
	}
	closed = true
	if err := dp.Close(); err != nil {
		t.Error(err)
	}
	if after := hashes(lab, lab.A); after != before {
		t.Errorf("flow hash %s before, %s after", before, after)
	}
}

// pinThread keeps this goroutine on one processor until the end of the test. The kernel chooses the transmit queue by the
// processor, and between two queues of the sender there is no order to be kept.
func pinThread(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	var all, one unix.CPUSet
	one.Set(0)
	if err := errors.Join(unix.SchedGetaffinity(0, &all), unix.SchedSetaffinity(0, &one)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.SchedSetaffinity(0, &all)
		runtime.UnlockOSThread()
	})
}

// hashes is by what a NIC spreads UDP, in words.
func hashes(lab *nicLab, h *testenv.Host) string {
	out := ""
	_ = h.NS.Do(func() error {
		for _, ipv6 := range []bool{false, true} {
			hash, err := nic.UDPFlowHash(h.If.Name(), ipv6)
			out += fmt.Sprintf("%v (%v) ", hash, err != nil)
		}
		return nil
	})
	return out
}

// pace keeps a sender at most window ahead of what arrives. What was lost is given up after a while.
type pace struct{ window, lost int }

func newPace(window int) *pace { return &pace{window: window} }

func (p *pace) wait(sent int, arrived func() int) {
	if sent%(p.window/2) != 0 {
		return
	}
	for start := time.Now(); sent-p.lost-arrived() > p.window/2; {
		if time.Since(start) > 100*time.Millisecond {
			p.lost = sent - arrived()
		}
		time.Sleep(100 * time.Microsecond) // a pause, not a wait for something
	}
}

// TestNICBothWays has AF_XDP at both ends, all queues, zero-copy, 100,000 datagrams each way at the same time.
func TestNICBothWays(t *testing.T) {
	lab := newNICLab(t)
	options := func(h *testenv.Host) Options {
		return Options{Queues: 4, Receive: []string{h.If.Name()}, SpreadReceive: true, Socket: xdp.Options{Mode: xdp.ModeZeroCopy}}
	}
	type end struct {
		dp      *Datapath
		client  *client
		tap     *tap
		host    *testenv.Host
		sockets []*wsk.Socket
		count   atomic.Int64
	}
	ends := []*end{{host: lab.A}, {host: lab.B}}
	for i, e := range ends {
		e.dp = lab.open(e.host, options(e.host))
		e.tap = &tap{Datapath: e.dp, t: t}
		e.client = newClientOver(t, e.dp, e.tap)
		for k := range 8 {
			e.sockets = append(e.sockets, e.client.socket(netip.AddrPortFrom(e.host.IPv4(), uint16(7000+100*i+k)).String()))
			e.tap.last().setHook(func(list *wsk.Datagram) {
				for list != nil {
					next := list.Next
					e.count.Add(1)
					list.Release()
					list = next
				}
			})
		}
		wantZeroCopy(t, e.dp, lab.inspect(e.host).TxQueues.N)
	}
	lab.waitCarrier()
	done := make(chan map[wsk.NTSTATUS]int, 2)
	for i, e := range ends {
		go func() {
			other := ends[1-i]
			ledger := newLedger(t, 64)
			pace := newPace(256)
			for n := range nicDatagrams {
				to := sockaddr(other.host.IPv4(), uint16(7000+100*(1-i)+n/8%8))
				ledger.send(e.sockets[n%8], whole(pattern(18)), to)
				pace.wait(n+1, func() int { return int(other.count.Load()) })
			}
			done <- ledger.end()
		}()
	}
	for range ends {
		counts := <-done
		if counts[wsk.STATUS_SUCCESS] != nicDatagrams || total(counts) != nicDatagrams {
			t.Errorf("IRPs ended with %v, want %d in success", counts, nicDatagrams)
		}
	}
	for i, e := range ends {
		got := settled(t, func() int { return int(e.count.Load()) }, nicDatagrams)
		t.Logf("%s, end %d: %d of %d arrived, %d through the companion sockets%s", lab.driver(e.host), i, got, nicDatagrams,
			e.dp.Info().CompanionReceived, describeQueues(e.dp))
		if got < nicDatagrams/2 || got > nicDatagrams {
			t.Errorf("end %d: %d of %d datagrams arrived", i, got, nicDatagrams)
		}
		checkSpread(t, e.dp)
	}
}
