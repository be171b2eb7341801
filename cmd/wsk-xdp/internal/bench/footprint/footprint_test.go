// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/benchtest"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// The test binary is also the child of a run.
func TestMain(m *testing.M) {
	benchtest.Main(m, map[string]func(io.Reader, io.Writer) error{PartRest: Rest})
}

// quick is a configuration of short runs.
func quick(t *testing.T) Config {
	t.Helper()
	return Config{
		Kinds: Kinds(), Queues: []int{1, 3}, Runs: 2, Idle: 100 * time.Millisecond, Child: benchtest.Child(t),
	}
}

// TestEveryKind starts each twice and judges what can be known.
func TestEveryKind(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	starts := 0
	c.Progress = func(Progress) { starts++ }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	const chunk = 2048 * 2048 // one direction of one queue
	want := []struct {
		kind   string
		queues int
		umem   uint64
	}{{kindProcess, 1, 0}, {kindUDP, 1, 0}, {kindSend, 1, chunk}, {kindSend, 3, 3 * chunk}, {kindReceive, 1, 2 * chunk}, {kindReceive, 3, 6 * chunk}}
	if len(r.Footprint) != len(want) || starts != 2*len(want) {
		t.Fatalf("%d results, %d starts", len(r.Footprint), starts)
	}
	for i, res := range r.Footprint {
		if res.Kind != want[i].kind || res.Queues != want[i].queues || res.UMEMBytes != want[i].umem || res.Runs != 2 {
			t.Errorf("%+v, want %+v", res, want[i])
		}
		if res.RSSBytes <= res.UMEMBytes || res.IdleCPU == nil || *res.IdleCPU < 0 {
			t.Errorf("%+v", res)
		}
		if many(res.Kind) != (res.OpenNs > 0) || res.FirstNs < res.OpenNs+res.BindNs+res.SendNs ||
			!slices.IsSorted([]int64{res.FirstMinNs, res.FirstNs, res.FirstMaxNs}) {
			t.Errorf("times of %+v", res)
		}
	}
	benchtest.NothingRuns(t)
}

// TestFailure: what can't be had is named, and the others are measured.
func TestFailure(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Kinds, c.Queues, c.Runs, c.Idle = []string{kindUDP, kindSend}, []int{1}, 1, 0
	broken := c.Child[0] + " child"
	c.Child = []string{"/bin/sh", "-c", `read task; case "$task" in *send*) echo no rings >&2; exit 3;; esac; echo "$task" | ` + broken + ` footprint`, "-"}
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err == nil || !strings.Contains(err.Error(), "send with 1 queues") || !strings.Contains(err.Error(), "no rings") {
		t.Errorf("error %v", err)
	}
	if len(r.Footprint) != 1 || r.Footprint[0].Kind != kindUDP || r.Footprint[0].IdleCPU != nil {
		t.Errorf("%+v", r.Footprint)
	}
}

// TestInterruptedRun gives everything back.
func TestInterruptedRun(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Idle = time.Hour
	benchtest.Interrupted(t, 2*time.Second, func(ctx context.Context) error {
		_, err := Run(ctx, c)
		return err
	})
}

// over is a context that has ended without anybody who waits having noticed yet.
type over struct{ context.Context }

func (over) Err() error { return context.Canceled }

// TestInterruptedAsAChildIsReady gives that child back too: it has started well, and nobody wants it any more.
func TestInterruptedAsAChildIsReady(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Kinds = []string{kindUDP}
	if _, err := Run(over{testenv.Context(t, benchtest.Limit)}, c); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	benchtest.NothingRuns(t)
}

func TestCheck(t *testing.T) {
	benchtest.Refused(t, quick(t), (*Config).Check, map[string]func(*Config){
		`kind "x" is none of`:      func(c *Config) { c.Kinds = []string{"x"} },
		"kind udp is given twice":  func(c *Config) { c.Kinds = []string{"udp", "udp"} },
		"no kind":                  func(c *Config) { c.Kinds = nil },
		"no number of queues":      func(c *Config) { c.Queues = nil },
		"65 queues":                func(c *Config) { c.Queues = []int{65} },
		"1 queues are given twice": func(c *Config) { c.Queues = []int{1, 1} },
		"0 runs":                   func(c *Config) { c.Runs = 0 },
		"a rest of -1ns":           func(c *Config) { c.Settle = -1 },
		"idle time of -1ns":        func(c *Config) { c.Idle = -1 },
	})
}

// TestDocument holds the keys of the JSON document to what was published.
func TestDocument(t *testing.T) {
	c := quick(t)
	one := &contestant{kind: kindSend, queues: 1, idle: 0.0005, runs: []run{{first: 3}, {first: 1}, {first: 2}}}
	doc := benchtest.Document(t, newReport(&c, []*contestant{one}, 0), Schema, "footprint", 1,
		"bind_ns first_datagram_max_ns first_datagram_min_ns first_datagram_ns first_send_ns idle_cpu kind open_ns queues "+
			"rss_bytes runs umem_bytes")
	if f := doc[0]; f["first_datagram_ns"] != 2.0 || f["first_datagram_max_ns"] != 3.0 || f["idle_cpu"] != 0.0005 {
		t.Errorf("%v", f)
	}
}
