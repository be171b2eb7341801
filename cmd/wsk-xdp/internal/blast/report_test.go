// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// The error is in millionths, and not that of a rounded rate.
func TestPacingError(t *testing.T) {
	for _, c := range []struct {
		rate, sent uint64
		sending    time.Duration
		want       int64
	}{
		{8, 1003, 125 * time.Second, 3000},
		{7, 1401, 200 * time.Second, 714},
		{100_000, 1_000_000, 10 * time.Second, 0},
		{1_000_000_000_000, 1000, time.Second, -1_000_000},
		{1, 1 << 20, time.Second, 1<<20*1_000_000 - 1_000_000},
	} {
		var r Report
		r.Fill(Config{Rate: PPS(c.rate), Duration: c.sending}, Result{Counts: Counts{Submitted: c.sent}, Sending: c.sending})
		if r.Pacing.Error == nil || *r.Pacing.Error != c.want {
			t.Errorf("%d in %v at %d pps: error of %v ppm, want %d", c.sent, c.sending, c.rate, r.Pacing.Error, c.want)
		}
	}
}

// A run that is too short says so where its rates, its pacing error and its cost would be, and its document has no keys
// for them. What it counted stays.
func TestShortRuns(t *testing.T) {
	for _, c := range []struct {
		name    string
		rate    uint64
		sent    uint64
		sending time.Duration
		why     string
	}{
		{"five packets", 100_000, 5, 80 * time.Microsecond, "80µs of sending, 100ms are needed"},
		{"a short time", 100_000, 9_999, 99_990 * time.Microsecond, "100ms of sending, 100ms are needed"},
		{"rate max for a short time", 0, 200_000, 99 * time.Millisecond, "99ms of sending, 100ms are needed"},
		{"few packets", 500, 999, 2 * time.Second, "999 packets, 1,000 are needed"},
		{"enough", 500, 1000, 2 * time.Second, ""},
		{"rate max, few packets", 0, 10, 2 * time.Second, ""},
		{"just enough time", 100_000, 10_000, 100 * time.Millisecond, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Report{Config: ConfigReport{MicroRate: uint64(PPS(c.rate)), RateMax: c.rate == 0, Frames: 1}, Mix: MixOf(true, []int{18}, 1500, 0)}
			config := Config{Rate: PPS(c.rate), Count: c.sent}
			r.Fill(config, Result{Counts: Counts{Submitted: c.sent, Completed: c.sent}, Sending: c.sending, Elapsed: c.sending})
			r.Cost(host.CPU{User: 3 * time.Millisecond, System: 4 * time.Millisecond}, datapath.Info{}, datapath.Info{})
			r.Conclude()
			raw, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var table strings.Builder
			for _, tb := range r.Tables() {
				if err := tb.Write(&table); err != nil {
					t.Fatal(err)
				}
			}
			text := table.String()
			keys := []string{"submitted_pps", "completed_pps", "completed_l1_bits_per_second", "completed_l2_bits_per_second", "\"cpu\"", "user_ns"}
			if c.rate > 0 {
				keys = append(keys, "mean_error_ppm")
			}
			for _, key := range keys {
				if strings.Contains(string(raw), key) != (c.why == "") {
					t.Errorf("%s: %s", key, raw)
				}
			}
			if c.why != "" && (!strings.Contains(text, "too short to tell: "+c.why) || strings.Contains(text, " CPU") || strings.Contains(text, "mean error")) {
				t.Error(text)
			}
			if c.why == "" && (strings.Contains(text, "too short") || !strings.Contains(text, " CPU")) {
				t.Error(text)
			}
			if !strings.Contains(text, units.Grouped(c.sent)) || r.TooShort != c.why || r.Totals.Completed != c.sent {
				t.Errorf("%+v\n%s", r.Totals, text)
			}
		})
	}
}

// The verdict says that all went well only as far as the sender saw it, and names everything that did not.
func TestVerdict(t *testing.T) {
	closed := icmp.Error{Protocol: 1, Type: 3, Code: 3, Meaning: "the destination answers, the port is closed", Messages: 7}
	for _, c := range []struct {
		name   string
		change func(*Report)
		id     string
		text   string
	}{
		{"sent", func(*Report) {}, "sent", "every packet submitted was completed; nobody looked at what arrived"},
		{"interrupted", func(r *Report) { r.Interrupted = true }, "sent",
			"every packet submitted was completed; nobody looked at what arrived (interrupted)"},
		{"closed port", func(r *Report) { r.ICMPErrors = []icmp.Error{closed} }, "port_closed",
			"the destination answers, the port is closed (7 times)"},
		{"closed port before the run", func(r *Report) { r.Warmup = &WarmupReport{ICMPErrors: []icmp.Error{closed}} }, "port_closed",
			"before the run: the destination answers, the port is closed (7 times)"},
		{"closed port before the run and in it", func(r *Report) {
			r.Warmup, r.ICMPErrors = &WarmupReport{ICMPErrors: []icmp.Error{closed}}, []icmp.Error{closed}
		}, "port_closed", "the destination answers, the port is closed (7 times)"},
		{"closed port until the run", func(r *Report) {
			r.Warmup, r.Peer = &WarmupReport{ICMPErrors: []icmp.Error{closed}}, &peer.Report{Received: 2000, Balanced: true}
		}, "received", "every packet arrived"},
		{"slow path and failures", func(r *Report) {
			r.Totals.Completed, r.Totals.Failed = 1500, 500
			r.SlowPath = SlowReport{Sent: 500, Failed: 500}
			r.Queues = []QueueReport{{Completed: 1000}}
			r.Carried = r.carried()
		}, "failed", "500 of 2,000 packets failed; SLOW PATH: 500 of 1,500 packets (33.3 %) went through the kernel's stack"},
		{"slow path in lists", func(r *Report) {
			r.SlowPath.Sent = 4
			r.Carried = r.carried()
		}, "slow_path", "SLOW PATH: 2,000 of 2,000 packets (100.0 %) went through the kernel's stack"},
		{"slow and closed", func(r *Report) {
			r.SlowPath.Sent = 2000
			r.ICMPErrors = []icmp.Error{closed}
			r.Carried = r.carried()
		}, "port_closed", "the destination answers, the port is closed (7 times); SLOW PATH: 2,000 of 2,000 packets (100.0 %) went through the kernel's stack"},
		{"too slow", func(r *Report) { *r.Pacing.Error = -10_001 }, "rate", "the rate was not reached"},
		{"nothing", func(r *Report) { r.Totals.Completed, r.Totals.Failed = 0, 2000 }, "nothing", "nothing was sent; 2,000 of 2,000 packets failed"},
		{"unfinished", func(r *Report) { r.Totals.Unfinished = 1 }, "unfinished", "1 IRP did not complete"},
		{"unfinished frames", func(r *Report) { r.Totals.Unfinished, r.Config.Engine = 2, EngineFrames }, "unfinished", "2 frames did not complete"},
	} {
		r := Report{Config: ConfigReport{Frames: 1}}
		r.Fill(Config{Rate: PPS(1000), Count: 2000}, Result{Counts: Counts{Submitted: 2000, Completed: 2000}, Sending: 2 * time.Second})
		r.Carried = r.carried()
		c.change(&r)
		r.Conclude()
		if v := r.Verdict; v.ID != c.id || v.OK != (c.id == "sent" || c.id == "received") || v.Text != c.text {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

// What fell due and was not sent is forfeited, also when no IRP came back to send it with.
func TestForfeitedAddsUp(t *testing.T) {
	transport, sockets := openSockets(t, 1)
	transport.SetMode(wsktest.Wait)
	c := Config{Rate: PPS(10_000), Duration: 100 * time.Millisecond, Batch: 1, InFlight: 7, Drain: time.Millisecond}
	res := mustRun(t, t.Context(), c, NewSender(sockets, remote, nil, nil, 1))
	if res.Submitted != 7 || res.Submitted+res.Forfeited != Requested(c) {
		t.Errorf("%d submitted and %d forfeited of %d", res.Submitted, res.Forfeited, Requested(c))
	}
}

// A queue counts on where its socket is replaced, and begins at zero where its interface came back under its name.
func TestCostOfAReplacedSocket(t *testing.T) {
	queue := func(submitted, completed, rebuilds, kicks uint64) datapath.Info {
		q := datapath.QueueInfo{Interface: "wsk0", Submitted: submitted, Completed: completed, Rebuilds: rebuilds}
		q.Counters.Kicks = kicks
		return datapath.Info{Queues: []datapath.QueueInfo{q}}
	}
	for _, c := range []struct {
		name          string
		before, after datapath.Info
		want          QueueReport
	}{
		{"the same", queue(100, 90, 0, 50), queue(300, 290, 0, 60), QueueReport{Submitted: 200, Completed: 200, Kicks: 10}},
		{"replaced", queue(100, 90, 1, 50), queue(300, 280, 3, 60), QueueReport{Submitted: 200, Completed: 190, Kicks: 10, Rebuilds: 2}},
		{"another", queue(100, 90, 0, 50), queue(30, 20, 0, 60), QueueReport{Submitted: 30, Completed: 20, Kicks: 60}},
		{"new", datapath.Info{}, queue(30, 20, 0, 60), QueueReport{Submitted: 30, Completed: 20, Kicks: 60}},
	} {
		var r Report
		r.Cost(host.CPU{}, c.before, c.after)
		c.want.Interface = "wsk0"
		if !slices.Equal(r.Queues, []QueueReport{c.want}) {
			t.Errorf("%s: %+v, want %+v", c.name, r.Queues, c.want)
		}
	}
}
