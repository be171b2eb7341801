// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// An echo that gets no processor for long loses pings, and one that is slow, and so may whoever asks. Each ping has its answer
// all the same, or is in a counter that says where it was dropped: here while the echo stands still for more pings than its
// rings hold.
func TestNoPingIsLostSilently(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	for _, engine := range []string{"wsk", "udp"} {
		t.Run("ping "+engine, func(t *testing.T) { testLoss(t, engine) })
	}
}

func testLoss(t *testing.T, engine string) {
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	ctx, cancel := context.WithCancel(testenv.Context(t, 3*time.Minute))
	defer cancel()
	to, meter := netip.AddrPortFrom(lab.B.IPv4(), 9000), NewMeter()
	e, err := OpenWSK(ctx, lab.B.NS.FD(), []string{lab.B.If.Name()}, to, Rule{Port: to.Port()}, meter, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	clock, err := stamp.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	const n = 9000
	schedule := ping.Schedule{Rate: blast.PPS(200_000), Count: n}
	body := make([]byte, stamp.Size)
	tally := ping.NewTally(schedule, testenv.Patience(time.Hour), 7, body, clock)
	var link ping.Link
	var dropped func() map[string]uint64
	switch engine {
	case "wsk":
		s, err := session.Open(ctx, session.Options{NetNS: lab.A.NS.FD(), Destination: to, Datagrams: ping.Hears(tally, to), KernelBuffer: recv.KernelBuffer})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(ctx)
		dropped = func() map[string]uint64 { return recv.DropsOf(s.Info()) }
		link = ping.NewWSK(s.Sockets[0], s.Remote(to.Port(), to.Addr()), nil, body, s.IsOver)
	default:
		ns, err := netns.Open(fmt.Sprintf("/proc/self/fd/%d", lab.A.NS.FD()))
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		l, err := ping.OpenUDP(ns, to, ping.Header{TOS: -1}, body, tally.Take)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		dropped, link = l.Drops, l
	}

	before := onTheWay(t, lab, engine)
	var latest atomic.Pointer[ping.Counts]
	latest.Store(&ping.Counts{})
	meter.mu.Lock() // the echo stands still
	done := make(chan ping.Result)
	go func() {
		done <- ping.Run(ctx, tally, link, func(i ping.Interval) { latest.Store(&i.Total) })
	}()
	testenv.Eventually(t, time.Minute, "every ping to be sent", func() bool { return latest.Load().Sent == n && link.UnderWay() == 0 })
	meter.mu.Unlock()
	// named are those that a counter tells: of either end, and of the kernel between them.
	named := func() uint64 {
		return sum(e.Drops()) + sum(dropped()) + meter.Now().Failed + onTheWay(t, lab, engine) - before
	}
	failed := func() (n uint64) { return sum(link.Failed()) }
	testenv.Eventually(t, time.Minute, "every ping to be answered or named", func() bool {
		return latest.Load().Answered+failed()+named() == n
	})
	cancel()
	r := <-done
	if c := meter.Now(); r.Lost != named() || r.Answered+r.Failed+r.Lost != n || c.refused() != 0 || c.Packets != c.Answered+c.Failed {
		t.Errorf("%+v; %d are named: echo %v, ping %v; the echo counted %+v", r, named(), e.Drops(), dropped(), c)
	}
	if r.Lost == 0 {
		t.Errorf("there was room for all %d, and this test tests nothing", n)
	}
}

func sum(drops map[string]uint64) (n uint64) {
	for _, d := range drops {
		n += d
	}
	return n
}

// onTheWay is what the interface of the ping has dropped: what came, and of a kernel socket what left, which an AF_XDP socket
// is told of.
func onTheWay(t *testing.T, lab *testenv.Lab, engine string) uint64 {
	attrs, err := lab.A.If.Attrs()
	if err != nil {
		t.Fatal(err)
	}
	n := attrs.Statistics.RxDropped
	if engine == "udp" {
		n += attrs.Statistics.TxDropped
	}
	return n
}
