// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"context"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// openSockets makes a fake transport with bound sockets on it.
func openSockets(t *testing.T, n int) (*wsktest.Transport, []*wsk.Socket) {
	t.Helper()
	transport := wsktest.New()
	return transport, openSocketsOn(t, transport, n)
}

func openSocketsOn(t *testing.T, transport wsk.Transport, n int) []*wsk.Socket {
	t.Helper()
	c, err := client.Open(transport, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		socket, err := c.Socket(t.Context(), wsk.AF_INET, nil, nil)
		if err == nil {
			err = client.Bind(t.Context(), socket, addrPort("0.0.0.0:0"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return c.Sockets()
}

// instant completes sends on the spot, with no allocation of its own.
type instant struct{ *wsktest.Transport }

type instantEndpoint struct{ wsk.Endpoint }

func (i instant) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	e, status := i.Transport.OpenEndpoint(family, events)
	return instantEndpoint{e}, status
}

func (instantEndpoint) Send(op *wsk.SendOp) { op.Complete(wsk.STATUS_SUCCESS) }

var remote = wsk.NewSockaddr(addrPort("10.0.0.2:9000"))

func mustRun(t *testing.T, ctx context.Context, c Config, s *Sender) Result {
	t.Helper()
	res, err := Run(ctx, c, s)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestRunSendsExactlyTheCount(t *testing.T) {
	for _, c := range []Config{
		{Count: 1000, Batch: 1, InFlight: 8},
		{Count: 1000, Batch: 64, InFlight: 8}, // 1000 is no multiple of 64
		{Count: 50, Batch: 7, InFlight: 3, Rate: PPS(10_000)},
		{Count: 1, Batch: 16, InFlight: 1},
	} {
		transport, sockets := openSockets(t, 3)
		c.Drain = time.Minute
		res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, []byte("payload"), c.Batch))
		sent := transport.Datagrams()
		if uint64(len(sent)) != c.Count || res.Submitted != c.Count || res.Completed != c.Count || res.Failed != 0 || res.Unfinished != 0 {
			t.Errorf("%+v: %d left, %+v", c, len(sent), res)
		}
		if uint64(res.Latency.Count) != res.Calls {
			t.Errorf("%+v: %d latencies of %d IRPs", c, res.Latency.Count, res.Calls)
		}
		sources := map[netip.AddrPort]int{}
		for _, d := range sent {
			sources[d.From]++
			if string(d.Payload) != "payload" {
				t.Fatalf("payload %q", d.Payload)
			}
		}
		if want := min(3, int(res.Calls)); len(sources) != want {
			t.Errorf("%+v: sent from %v, want %d sources in turn", c, sources, want)
		}
	}
}

func TestRunKeepsTheDuration(t *testing.T) {
	_, sockets := openSockets(t, 1)
	c := Config{Rate: PPS(5000), Duration: 100 * time.Millisecond, Batch: 1, InFlight: 64, Drain: time.Second}
	res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, nil, 1))
	if res.Submitted+res.Forfeited != 500 {
		t.Errorf("%d submitted and %d forfeited in 100 ms at 5000 pps, want 500 together", res.Submitted, res.Forfeited)
	}
	if res.Sending < c.Duration {
		t.Errorf("sending ended after %v", res.Sending)
	}
}

// A transport that gives nothing back bounds what is in flight; cancelled IRPs are counted by their status.
func TestRunBoundsWhatIsInFlight(t *testing.T) {
	transport, sockets := openSockets(t, 1)
	transport.SetMode(wsktest.Wait)
	c := Config{Duration: 50 * time.Millisecond, Batch: 4, InFlight: 5, Drain: 10 * time.Millisecond}
	res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, nil, 4))
	if got := transport.Counts(); got.Sends != 5 || got.Cancelled != 5 {
		t.Errorf("%+v, want 5 sends, all cancelled", got)
	}
	if res.Blocked < c.Duration/2 {
		t.Errorf("waited %v for IRPs of %v", res.Blocked, c.Duration)
	}
	if res.Submitted != 20 || res.Failed != 20 || res.ByStatus[wsk.STATUS_CANCELLED] != 20 || res.Unfinished != 0 {
		t.Errorf("%+v", res)
	}
}

// What can't be cancelled is reported, and the wait for it has an end.
func TestRunReportsWhatNeverCompletes(t *testing.T) {
	transport, sockets := openSockets(t, 1)
	transport.SetMode(wsktest.Post)
	c := Config{Count: 3, Batch: 1, InFlight: 5, Drain: 10 * time.Millisecond}
	res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, nil, 1))
	if res.Unfinished != 3 || res.Completed != 0 {
		t.Errorf("%+v, want 3 unfinished", res)
	}
	transport.CompleteAll(wsk.STATUS_SUCCESS)
}

func TestRunCountsFailures(t *testing.T) {
	transport, sockets := openSockets(t, 1)
	transport.SetMode(wsktest.Post)
	done := make(chan Result)
	go func() {
		res, _ := Run(context.Background(), Config{Count: 6, Batch: 3, InFlight: 2, Drain: time.Minute}, NewSender(sockets, remote, nil, nil, 3))
		done <- res
	}()
	for transport.Counts().Pending < 2 {
		runtime.Gosched()
	}
	transport.Complete(0, wsk.STATUS_NETWORK_BUSY)
	transport.CompleteAll(wsk.STATUS_SUCCESS)
	res := <-done
	if res.Completed != 3 || res.Failed != 3 || res.ByStatus[wsk.STATUS_NETWORK_BUSY] != 3 || res.Latency.Count != 1 {
		t.Errorf("%+v", res)
	}
}

func TestRunEndsWithTheSocket(t *testing.T) {
	transport, sockets := openSockets(t, 1)
	transport.Kill()
	c := Config{Duration: 5 * time.Second, Batch: 1, InFlight: 5, Drain: time.Second}
	if res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, nil, 1)); !res.Dead || res.Completed != 0 {
		t.Errorf("%+v, want a dead socket", res)
	}
}

func TestRunIsInterrupted(t *testing.T) {
	for _, rate := range []Rate{0, PPS(1)} {
		ctx, cancel := context.WithCancel(t.Context())
		_, sockets := openSockets(t, 1)
		c := Config{Rate: rate, Duration: time.Hour, Batch: 1, InFlight: 5, Drain: time.Second}
		c.OnInterval = func(Interval) {}
		stop := time.AfterFunc(20*time.Millisecond, cancel)
		res := mustRun(t, ctx, c, NewSender(sockets, remote, nil, nil, 1))
		stop.Stop()
		if !res.Interrupted || res.Completed != res.Submitted || res.Elapsed > time.Minute {
			t.Errorf("rate %d: %+v", rate, res)
		}
	}
}

func TestIntervalsAddUp(t *testing.T) {
	_, sockets := openSockets(t, 1)
	var sum Counts
	var last Interval
	n := 0
	c := Config{Rate: PPS(2000), Duration: 2100 * time.Millisecond, Batch: 1, InFlight: 64, Drain: time.Second}
	c.OnInterval = func(i Interval) {
		if i.Start != last.End {
			t.Errorf("an interval begins at %v, the one before ended at %v", i.Start, last.End)
		}
		sum.Submitted += i.Counts.Submitted
		sum.Completed += i.Counts.Completed
		last = i
		n++
	}
	res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, nil, 1))
	// Two seconds, and what is left; a machine that is busy elsewhere for a second joins two of them.
	if n < 1 || n > 3 || sum != last.Total || sum != res.Counts || last.End != res.Elapsed {
		t.Errorf("%d intervals with %+v, the last total is %+v, of %+v", n, sum, last.Total, res)
	}
}

func TestRunRefuses(t *testing.T) {
	sender := NewSender(nil, remote, nil, nil, 4)
	for _, c := range []Config{
		{Count: 1, InFlight: 1}, {Count: 1, Batch: 1}, {Count: 1, Batch: 5, InFlight: 1},
	} {
		if _, err := Run(t.Context(), c, sender); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// Ten times the packets cost no more allocations: what there is belongs to the run, not to the packet.
func TestRunAllocatesNothingPerPacket(t *testing.T) {
	sockets := openSocketsOn(t, instant{wsktest.New()}, 1)
	for _, batch := range []int{1, 16} {
		allocs := func(count uint64) float64 {
			c := Config{Count: count, Batch: batch, InFlight: 64, Drain: time.Second}
			sender := NewMixSender(Datagrams{Flows: []Flow{{sockets[0], remote}}, Payload: make([]byte, 40), Sizes: []int{18, 40}}, batch)
			return testing.AllocsPerRun(5, func() { mustRun(t, t.Context(), c, sender) })
		}
		few, many := allocs(2_000), allocs(20_000)
		if perPacket := (many - few) / 18_000; perPacket > 0.001 {
			t.Errorf("batch %d: %.0f allocations for 2,000 packets, %.0f for 20,000", batch, few, many)
		}
	}
}

// keeping gives nothing back after some sends.
type keeping struct {
	*wsktest.Transport
	after int32
	sends atomic.Int32
}

type keepingEndpoint struct {
	wsk.Endpoint
	t *keeping
}

func (k *keeping) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	e, status := k.Transport.OpenEndpoint(family, events)
	return keepingEndpoint{e, k}, status
}

func (e keepingEndpoint) Send(op *wsk.SendOp) {
	if e.t.sends.Add(1) > e.t.after {
		e.t.SetMode(wsktest.Wait)
	}
	e.Endpoint.Send(op)
}

// Waiting for what does not come back is no part of the rate of what did.
func TestRateOfCompletionsLeavesTheDrainOut(t *testing.T) {
	sockets := openSocketsOn(t, &keeping{Transport: wsktest.New(), after: 20}, 1)
	c := Config{Rate: PPS(4000), Duration: time.Second, Batch: 1, InFlight: 4000, Drain: 800 * time.Millisecond}
	res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, nil, 1))
	if res.Completed != 20 || res.Failed == 0 || res.Elapsed < c.Drain {
		t.Fatalf("%+v: this is not the case meant", res)
	}
	var r Report
	r.Fill(c, res)
	if want := perSecond(res.Completed, res.Sending); r.Totals.CompletedPPS == nil || *r.Totals.CompletedPPS != want {
		t.Errorf("%d of %d completed while %v of sending: %d per second, want %d; %v until the last came back", res.Completed, res.Submitted,
			res.Sending, r.Totals.CompletedPPS, want, res.Elapsed)
	}
}
