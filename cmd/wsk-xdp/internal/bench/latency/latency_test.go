// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/benchtest"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// The test binary is also the children of a run.
func TestMain(m *testing.M) {
	benchtest.Main(m, map[string]func(io.Reader, io.Writer) error{PartEcho: Echo, PartMeasure: Measure})
}

// quick is a configuration of short runs.
func quick(t *testing.T) Config {
	t.Helper()
	return Config{
		Trial: check.Trial{
			Size: check.DefaultSize, Runs: 1, Duration: 100 * time.Millisecond, Warmup: 20 * time.Millisecond, BusyPoll: check.DefaultBusyPoll,
		},
		Measures: Measures(), Engines: Engines(), CPUs: free, Child: benchtest.Child(t),
	}
}

// TestEveryMeasure runs every engine for a moment and checks that what must be in order is.
func TestEveryMeasure(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.CPUs, c.Duration = apart, 50*time.Millisecond
	var went []string
	c.Progress = func(p Progress) { went = append(went, p.Measure+" "+p.Engine) }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, measure := range Measures() {
		for _, e := range engines {
			if e.measures(measure) {
				want = append(want, measure+" "+e.Name())
			}
		}
	}
	for _, res := range r.Latency {
		got = append(got, res.Measure+" "+res.Engine)
		if res.Runs != 1 || res.Samples == 0 || res.FrameBytes != 64 || res.P50 <= 0 {
			t.Errorf("%+v", res)
		}
		if !slices.IsSorted([]int64{res.P50Min, res.P50, res.P50Max}) || !slices.IsSorted([]int64{res.P50, res.P90, res.P99, res.P999, res.Max}) {
			t.Errorf("out of order: %+v", res)
		}
		if (res.Measure != tail) != (res.RatioP50 != nil) || res.Engine == Reference && *res.RatioP50 != 1 {
			t.Errorf("ratio of %+v", res)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, went); diff != "" {
		t.Errorf("order of the runs (-want +got):\n%s", diff)
	}
	benchtest.NothingRuns(t)
}

// TestRounds: the second goes through the engines the other way round.
func TestRounds(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Measures, c.Engines, c.Runs, c.Duration = []string{idleSend}, []string{Reference, "wsk"}, 2, 20*time.Millisecond
	var went []string
	c.Progress = func(p Progress) { went = append(went, p.Engine) }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{Reference, "wsk", "wsk", Reference}, went); diff != "" {
		t.Errorf("order of the runs (-want +got):\n%s", diff)
	}
	for _, res := range r.Latency {
		if res.Runs != 2 || !slices.IsSorted([]int64{res.P50Min, res.P50, res.P50Max}) {
			t.Errorf("%+v", res)
		}
	}
}

// TestPause: there are as many samples as pauses fit, and no more, and they count round trips alone.
func TestPause(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Measures, c.Interval, c.Duration = []string{roundTrip}, 20*time.Millisecond, 100*time.Millisecond
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Latency {
		if most := uint64(c.Duration/c.Interval) + 1; res.Samples > most {
			t.Errorf("%s: %d samples with a pause of %v in %v", res.Engine, res.Samples, c.Interval, c.Duration)
		}
	}
}

// TestLostReplies: datagrams that nobody answers are counted as lost, enter no times, and the run ends all the same.
func TestLostReplies(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	lab := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static, NoIPv6: true})
	peer := netip.AddrPortFrom(lab.B.IPv4(), port)
	testenv.NewUDPReceiverT(t, lab.B.NS, peer, testenv.UDPReceiverOptions{CountOnly: true})
	for _, e := range engines {
		t.Run(e.Name(), func(t *testing.T) {
			task := &task{
				Engine: e.Name(), Busy: e.busy, BusyPoll: check.DefaultBusyPoll, Measure: roundTrip, Interface: lab.A.If.Name(), Payload: 18,
				Local: netip.AddrPortFrom(lab.A.IPv4(), port), Peer: peer,
			}
			var g pinger
			err := lab.A.NS.Do(func() (err error) {
				g, err = e.ping(task)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			m := newMeter(0, giveUp, 0)
			if err := g.run(task, m); err != nil {
				t.Error(err)
			}
			if err := g.close(); err != nil {
				t.Error(err)
			}
			if p := m.percentiles(); p.Samples != 0 || p.Lost == 0 {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestMeter leaves the warm-up out and keeps three digits.
func TestMeter(t *testing.T) {
	m := newMeter(time.Hour, time.Hour, time.Hour)
	now := time.Now()
	m.record(now, now.Add(time.Millisecond)) // within the warm-up
	m.lose()
	begin := m.from
	for i := range 1000 {
		m.record(begin.Add(-time.Second), begin.Add(-time.Second+time.Duration(i+1)*time.Microsecond)) // likewise
		m.record(begin, begin.Add(time.Duration(i+1)*time.Microsecond))
	}
	p := m.percentiles()
	if p.Samples != 1000 || p.Lost != 0 {
		t.Errorf("%+v", p)
	}
	for _, tc := range []struct{ got, want int64 }{{p.P50, 500e3}, {p.P90, 900e3}, {p.P99, 990e3}, {p.P999, 999e3}, {p.Max, 1000e3}} {
		if diff := tc.got - tc.want; diff < -tc.want/500 || diff > tc.want/500 {
			t.Errorf("percentile %d, want %d", tc.got, tc.want)
		}
	}
	if m.over(m.until) || !m.over(m.until.Add(1)) {
		t.Error("over too early or too late")
	}
	m = newMeter(0, time.Hour, time.Hour)
	m.lose()
	if m.over(m.until.Add(1)) || m.over(m.hopeless) || !m.over(m.hopeless.Add(1)) {
		t.Error("without a sample over too early or too late")
	}
}

// TestRatioIsOfRounds: the machine halves its speed in the second round, which changes no ratio.
func TestRatioIsOfRounds(t *testing.T) {
	with := func(p50 ...int64) *contestant {
		who := &contestant{}
		for _, v := range p50 {
			if v == 0 {
				who.Runs = append(who.Runs, nil)
				continue
			}
			who.Runs = append(who.Runs, &figures{percentiles: percentiles{P50: v}})
		}
		return who
	}
	if r := with(10, 20, 10).Runs.Ratio(with(20, 40, 20).Runs, p50of); r == nil || *r != 0.5 {
		t.Errorf("ratio %v", r)
	}
	if r := with(10, 0).Runs.Ratio(with(20, 40).Runs, p50of); r == nil || *r != 0.5 {
		t.Errorf("ratio with a failed run %v", r)
	}
	if r := with(0).Runs.Ratio(with(20).Runs, p50of); r != nil {
		t.Errorf("ratio of nothing %v", *r)
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

// TestPlace: two CPUs for two ends, where there are two.
func TestPlace(t *testing.T) {
	for _, tc := range []struct {
		placement     string
		cpus          []int
		measure, echo int
	}{
		{apart, []int{2, 5, 7}, 2, 5}, {together, []int{2, 5}, 2, 2}, {free, []int{2, 5}, -1, -1}, {apart, []int{3}, 3, 3}, {apart, nil, -1, -1},
	} {
		if m, e := place(tc.placement, tc.cpus); m != tc.measure || e != tc.echo {
			t.Errorf("%s of %v: %d and %d", tc.placement, tc.cpus, m, e)
		}
	}
}

func TestCheck(t *testing.T) {
	benchtest.Refused(t, quick(t), (*Config).Check, map[string]func(*Config){
		`engine "x" is none of`:     func(c *Config) { c.Engines = []string{"x"} },
		"engine udp is given twice": func(c *Config) { c.Engines = []string{"udp", "udp"} },
		"no engine":                 func(c *Config) { c.Engines = nil },
		`measure "x" is none of`:    func(c *Config) { c.Measures = []string{"x"} },
		"no measure":                func(c *Config) { c.Measures = nil },
		"size 53":                   func(c *Config) { c.Size = 53 },
		"outside 64..1518":          func(c *Config) { c.Size = 1519 },
		`placement "x"`:             func(c *Config) { c.CPUs = "x" },
		"0 runs":                    func(c *Config) { c.Runs = 0 },
		"duration 1ms":              func(c *Config) { c.Duration = time.Millisecond },
		"warm-up -1ns":              func(c *Config) { c.Warmup = -1 },
		"interval -1ns":             func(c *Config) { c.Interval = -1 },
		"busy polling of 1ns":       func(c *Config) { c.BusyPoll = 1 },
	})
}

// TestDocument holds the keys of the JSON document to what was published.
func TestDocument(t *testing.T) {
	c := quick(t)
	one := &contestant{measure: roundTrip, engine: find(Reference)}
	one.Runs = []*figures{{percentiles: percentiles{Samples: 2, P50: 5, Max: 7}}, nil}
	doc := benchtest.Document(t, newReport(&c, []*contestant{one}, 0), Schema, "latency", 1,
		"cores engine frame_bytes lost max_ns measure p50_max_ns p50_min_ns p50_ns p90_ns p999_ns p99_ns ratio_p50 ratio_p99 runs samples")
	if doc[0]["runs"] != 1.0 || doc[0]["p50_ns"] != 5.0 || doc[0]["max_ns"] != 7.0 || doc[0]["ratio_p50"] != 1.0 {
		t.Errorf("%v", doc[0])
	}
}
