// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/benchtest"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// quick is a configuration of short runs.
func quick(t *testing.T) Config {
	c := goodConfig()
	c.Runs, c.Duration, c.Warmup = 1, 100*time.Millisecond, 20*time.Millisecond
	c.Child = benchtest.Child(t)
	return c
}

// TestEveryEngineSends runs each for a tenth of a second, and a rival's program beside them.
func TestEveryEngineSends(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Engines = Names()
	c.Externals = []External{{"rival", "test -d /sys/class/net/{if}/queues/tx-0 && exec " + c.Child[0] + " rival 10.77.0.2:9000"}}
	var warnings []string
	c.Warn = func(s string) { warnings = append(warnings, s) }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		if strings.Contains(w, "does not send what the others do") || strings.HasPrefix(w, "wsk") {
			t.Error(w)
		}
	}
	all := append(Names(), "rival")
	if len(r.Results) != len(all) {
		t.Fatalf("%d results of %d", len(r.Results), len(all))
	}
	for i, res := range r.Results {
		if res.Engine != all[i] || res.FrameBytes != 64 || res.Queues != 1 || res.Runs != 1 {
			t.Errorf("result %d: %+v", i, res)
		}
		if res.PPSMin == 0 || res.PPSMin > res.PPSMedian || res.PPSMedian > res.PPSMax || res.CPUNsPerPacket <= 0 || res.RSSBytes == 0 {
			t.Errorf("%s: %+v", res.Engine, res)
		}
		if res.Ratio == nil || *res.Ratio <= 0 || res.Engine == Base && *res.Ratio != 1 {
			t.Errorf("%s: ratio %v", res.Engine, res.Ratio)
		}
		if want := map[string]float64{"udp": 1, "sendmmsg": 1. / 64, "gso": 1. / 64, "asavie": 1. / 32, "rival": 1.5}[res.Engine]; want != 0 &&
			(res.SyscallsPerPacket == nil || *res.SyscallsPerPacket < want*0.9 || *res.SyscallsPerPacket > want*1.5) {
			t.Errorf("%s: syscalls per packet %v, want about %v", res.Engine, *res.SyscallsPerPacket, want)
		}
	}
	benchtest.NothingRuns(t)
}

// TestRounds: the second goes through the engines, and what is no engine of ours, the other way round.
func TestRounds(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Engines, c.Runs = []string{Base, "udp"}, 2
	c.Externals = []External{{"rival", "exec " + c.Child[0] + " rival 10.77.0.2:9000"}}
	var went []string
	c.Progress = func(p Progress) { went = append(went, p.Engine) }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{Base, "udp", "rival", "rival", "udp", Base}; !slices.Equal(went, want) {
		t.Errorf("order of the runs: %v, want %v", went, want)
	}
	for _, res := range r.Results {
		if res.Runs != 2 || res.PPSMin > res.PPSMedian || res.PPSMedian > res.PPSMax {
			t.Errorf("%+v", res)
		}
	}
}

// TestSeveralMTUs: every engine runs in the laboratory of each MTU, all of them in one round, and ratios refer to the first.
func TestSeveralMTUs(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Engines, c.MTUs, c.Runs = []string{"wsk", "udp"}, []int{1500, 9000}, 2
	var went []string
	c.Progress = func(p Progress) { went = append(went, p.Engine) }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(went, " "); got != "wsk udp wsk@9000 udp@9000 udp@9000 wsk@9000 udp wsk" {
		t.Error("order of the runs:", got)
	}
	for i, want := range []string{"wsk", "udp", "wsk@9000", "udp@9000"} {
		if res := r.Results[i]; res.Engine != want || res.Runs != 2 || res.Ratio == nil || i == 0 && *res.Ratio != 1 {
			t.Errorf("%+v, want %s", res, want)
		}
	}
	c.Sizes = []int{1519}
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "above the MTU of wsk0, 1500") {
		t.Error(err)
	}
	benchtest.NothingRuns(t)
}

// TestDaemonLane: the daemon of the engine is measured with it, says what it was given, and leaves nothing, interrupted or
// not.
func TestDaemonLane(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	nothingLeft := func() {
		t.Helper()
		benchtest.NothingRuns(t)
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
	c := quick(t)
	c.Engines = []string{"daemon-lane"}
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Results[0].SyscallsPerPacket != nil {
		t.Error("system calls are counted that others make")
	}
	if len(r.Granted.Engines) != 1 || !strings.Contains(string(r.Granted.Engines[0].Queues), `"interface":"wsk0","queue":0,"mode":"copy"`) {
		t.Errorf("granted %+v", r.Granted.Engines)
	}
	nothingLeft()
	c.Duration = time.Hour
	benchtest.Interrupted(t, time.Second, func(ctx context.Context) error {
		_, err := Run(ctx, c)
		return err
	})
	nothingLeft()
}

// TestManyDestinationsAndQueues: the same with everything multiplied, for those engines that differ in it.
func TestManyDestinationsAndQueues(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Destinations, c.Queues, c.Sizes = 5, 2, []int{1518}
	var warnings []string
	c.Warn = func(s string) { warnings = append(warnings, s) }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != len(DefaultEngines()) {
		t.Errorf("results: %+v", r.Results)
	}
	for _, w := range warnings {
		if strings.Contains(w, "does not send what the others do") {
			t.Error(w)
		}
	}
}

// TestPin checks that the sending thread runs where it was put.
func TestPin(t *testing.T) {
	var stop atomic.Bool
	var where unix.CPUSet
	l := laneFunc(func() (int, error) {
		stop.Store(true)
		return 3, unix.SchedGetaffinity(0, &where)
	})
	sent, err := sendAll([]lane{l}, []int{0}, &stop)
	if err != nil || sent != 3 || where.Count() != 1 || !where.IsSet(0) {
		t.Errorf("sent %d on %d CPUs: %v", sent, where.Count(), err)
	}
	stop.Store(false)
	if _, err := sendAll([]lane{l}, []int{1023}, &stop); err == nil {
		t.Error("pinned to a CPU that is not there")
	}
	stop.Store(false)
	if _, err := sendAll([]lane{laneFunc(func() (int, error) { panic("a rival's library") })}, nil, &stop); err == nil {
		t.Error("a panic went unnoticed")
	}
}

// laneFunc is a lane that is one function.
type laneFunc func() (int, error)

func (f laneFunc) burst() (int, error) { return f() }
func (f laneFunc) syscalls() uint64    { return 0 }

// TestRivalsThatMisbehave: none of them spoils the run of the others, and each is named.
func TestRivalsThatMisbehave(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	c := quick(t)
	c.Engines, c.Sizes = []string{"udp"}, []int{128}
	c.Externals = []External{
		{"absent", "echo no such sender >&2; exit 7"},
		{"other", c.Child[0] + " rival 10.77.0.2:9000"}, // sends 18 bytes whatever is asked
	}
	var warnings []string
	c.Warn = func(s string) { warnings = append(warnings, s) }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err == nil || !strings.Contains(err.Error(), "absent at 128 bytes") || !strings.Contains(err.Error(), "no such sender") {
		t.Errorf("error %v", err)
	}
	if len(r.Results) != 2 || r.Results[0].Engine != "udp" || r.Results[1].Engine != "other" {
		t.Errorf("results: %+v", r.Results)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "64.0 bytes with FCS") {
		t.Errorf("warnings: %q", warnings)
	}
}

// TestStopKills a program that will not end, and what another left behind.
func TestStopKills(t *testing.T) {
	defer proc.AdoptOrphans()()
	here := func(f func() error) error { return f() }
	const deaf = "(trap '' TERM; sleep 1000; sleep 1000) & "
	for command, want := range map[string]string{
		deaf + "trap '' TERM; wait; sleep 1000": "was killed",
		deaf + "wait":                           "",
	} {
		s, err := proc.StartShell(here, command, false)
		if err != nil {
			t.Fatal(err)
		}
		var pids []int
		testenv.Eventually(t, benchtest.Limit, "three processes", func() bool {
			pids = proc.Tree(s.Pid())
			return len(pids) >= 3
		})
		patience := benchtest.Limit
		if want != "" {
			patience = 50 * time.Millisecond
		}
		if err := s.Stop(patience); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
		for _, pid := range pids {
			if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
				t.Errorf("%s: left behind: %s", command, raw)
			}
		}
	}
}

// TestInterruptedRun gives everything back.
func TestInterruptedRun(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	c := quick(t)
	c.Duration = time.Hour
	c.Engines = []string{"wsk"}
	benchtest.Interrupted(t, time.Second, func(ctx context.Context) error {
		_, err := Run(ctx, c)
		return err
	})
}
