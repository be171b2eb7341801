// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"context"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/benchtest"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// The test binary is also the children of a run.
func TestMain(m *testing.M) {
	benchtest.Main(m, map[string]func(io.Reader, io.Writer) error{
		PartReceive: Receive, PartSend: Send,
		PartEngine: func(stdin io.Reader, stdout io.Writer) error { return bench.Child(context.Background(), stdin, stdout) },
	})
}

// quick is a configuration of short runs.
func quick(t *testing.T) Config {
	t.Helper()
	return Config{
		Trial: check.Trial{
			Size: check.DefaultSize, Runs: 1, Duration: 150 * time.Millisecond, Warmup: 20 * time.Millisecond, BusyPoll: check.DefaultBusyPoll,
		},
		Engines: Engines(), Sender: senderXDP, Rates: []int{0}, Child: benchtest.Child(t),
		Unpinned: true, // a CPU of its own may be another program's on a busy machine
	}
}

// TestEveryEngineReceives runs each for a moment, from both senders and in both sizes: small datagrams of one and large ones of the other,
// since neither engines nor senders take the size for anything but a length. Where WSKXDP_RELAY is set, which is for longer tests, each
// sender has both sizes.
func TestEveryEngineReceives(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	for i, sender := range Senders() {
		for k, size := range []int{64, 1518} {
			if os.Getenv("WSKXDP_RELAY") == "" && k != i%2 {
				continue
			}
			everyEngine(t, sender, size)
		}
	}
	benchtest.NothingRuns(t)
}

func everyEngine(t *testing.T, sender string, size int) {
	c := quick(t)
	c.Sender, c.Size = sender, size
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Receive) != len(engines) {
		t.Fatalf("%d results", len(r.Receive))
	}
	for i, res := range r.Receive {
		if res.Engine != engines[i].Name() || res.FrameBytes != size || res.Runs != 1 || res.PPSMedian == 0 || res.RSSBytes == 0 {
			t.Errorf("%+v", res)
		}
		// Window and counters are not read at the same moment, and there is a queue in between.
		if res.PPSMedian > res.Offered*3/2+100_000 {
			t.Errorf("%s from %s: %d of %d offered", res.Engine, sender, res.PPSMedian, res.Offered)
		}
		if res.Ratio == nil || *res.Ratio <= 0 || res.Engine == Reference && *res.Ratio != 1 {
			t.Errorf("%s: ratio %v", res.Engine, res.Ratio)
		}
	}
}

// TestRate: what is offered is what was asked, or less on a busy machine, and all of it is delivered.
func TestRate(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Engines, c.Rates, c.Duration = []string{"event"}, []int{1000, 5000}, 500*time.Millisecond
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	for i, res := range r.Receive {
		want := uint64(c.Rates[i])
		if res.RateLimit != int(want) || res.Offered > want+want/4 || res.Offered == 0 || res.PPSMedian > want+want/4 || res.PPSMedian == 0 {
			t.Errorf("rate %d: %+v", want, res)
		}
	}
}

// TestOfferedFrame lets the receiving kernel judge the frame that the sender copies.
func TestOfferedFrame(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static, NoIPv6: true, GRO: true})
	to := netip.AddrPortFrom(lab.B.IPv4(), port)
	receiver := testenv.NewUDPReceiverT(t, lab.B.NS, to, testenv.UDPReceiverOptions{})
	const payload = 300
	c := quick(t)
	p, err := proc.StartChild(lab.A.NS.Do, proc.Part(c.Child, PartSend), &offer{
		IfIndex: lab.A.If.Index(), SrcMAC: frame.MAC(lab.A.If.MAC()), DstMAC: frame.MAC(lab.B.If.MAC()),
		From: netip.AddrPortFrom(lab.A.IPv4(), sourcePort), To: to, Payload: payload, Rate: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := receiver.Wait(testenv.Context(t, benchtest.Limit), 50)
	if err := p.Stop(proc.StopTime); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range got {
		if len(d.Payload) != payload || d.Payload[0] != 0 || d.Payload[299] != 299%256 || !look(d.Payload, payload) {
			t.Fatalf("% x", d.Payload)
		}
	}
}

func TestLook(t *testing.T) {
	before := wrong.Load()
	good := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8}
	if !look(good, 9) || wrong.Load() != before {
		t.Error("a good one is refused")
	}
	for _, bad := range [][]byte{good[:8], nil, {1, 1, 2, 3, 4, 5, 6, 7, 8}, {0, 1, 2, 3, 4, 5, 6, 8, 8}} {
		if look(bad, 9) {
			t.Errorf("% x", bad)
		}
	}
	if wrong.Load() != before+4 {
		t.Errorf("%d counted", wrong.Load()-before)
	}
}

// TestStrangers: datagrams that the sender has not sent spoil the run.
func TestStrangers(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static, NoIPv6: true})
	to := netip.AddrPortFrom(lab.B.IPv4(), port)
	c := quick(t)
	counter, err := proc.NewCounter()
	if err != nil {
		t.Fatal(err)
	}
	defer counter.Close()
	ctx := testenv.Context(t, benchtest.Limit)
	p, err := c.start(ctx, lab.B.NS.Do, PartReceive, &task{Engine: "recvmmsg", Local: to, Payload: 18}, counter.File())
	if err != nil {
		t.Fatal(err)
	}
	sender, err := testenv.NewUDPSender(lab.A.NS, testenv.UDPSenderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	good := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}
	for _, payload := range [][]byte{[]byte("a stranger's"), good} {
		if err := sender.Send(to, payload); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, benchtest.Limit, "the good one", func() bool { return counter.Load() == 1 })
	if err := end(p, nil); err == nil || !strings.Contains(err.Error(), "1 datagrams arrived that nobody sent") {
		t.Errorf("%v", err)
	}
}

// TestInterruptedRun gives everything back.
func TestInterruptedRun(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Duration = time.Hour
	benchtest.Interrupted(t, time.Second, func(ctx context.Context) error {
		_, err := Run(ctx, c)
		return err
	})
}

func TestCheck(t *testing.T) {
	benchtest.Refused(t, quick(t), (*Config).Check, map[string]func(*Config){
		`engine "x" is none of`:      func(c *Config) { c.Engines = []string{"x"} },
		"engine udp is given twice":  func(c *Config) { c.Engines = []string{"udp", "udp"} },
		"no engine":                  func(c *Config) { c.Engines = nil },
		`sender "x" is none of`:      func(c *Config) { c.Sender = "x" },
		"size 53":                    func(c *Config) { c.Size = 53 },
		"outside 64..1518":           func(c *Config) { c.Size = 1519 },
		"no rate":                    func(c *Config) { c.Rates = nil },
		"rate -1":                    func(c *Config) { c.Rates = []int{-1} },
		"rate 0 is given twice":      func(c *Config) { c.Rates = []int{0, 0} },
		"wsk-batch keeps to no rate": func(c *Config) { c.Sender, c.Rates = senderBatch, []int{5} },
		"0 runs":                     func(c *Config) { c.Runs = 0 },
		"duration 1ms":               func(c *Config) { c.Duration = time.Millisecond },
		"warm-up -1ns":               func(c *Config) { c.Warmup = -1 },
		"busy polling of 1ns":        func(c *Config) { c.BusyPoll = 1 },
	})
}

// TestDocument holds the keys of the JSON document to what was published, and the ratios to the rounds.
func TestDocument(t *testing.T) {
	c := quick(t)
	with := func(name string, pps ...float64) *contestant {
		who := &contestant{engine: find(name)}
		for _, v := range pps {
			who.Runs = append(who.Runs, &figures{pps: v, offered: 2 * v, cpuNs: 1e9 / v})
		}
		return who
	}
	// The machine halves its speed in the second round.
	doc := benchtest.Document(t, newReport(&c, []*contestant{with("event", 40, 20, 40), with(Reference, 20, 10, 20)}, 0), Schema, "receive", 2,
		"cpu_ns_per_packet engine frame_bytes offered_pps pps_max pps_median pps_min rate_limit_pps ratio ratio_per_cpu "+
			"receiver_cpu_ns_per_packet receiver_user_ns_per_packet rss_bytes runs")
	if r := doc[0]; r["ratio"] != 2.0 || r["ratio_per_cpu"] != 2.0 || r["pps_median"] != 40.0 || r["offered_pps"] != 80.0 {
		t.Errorf("%v", r)
	}
}
