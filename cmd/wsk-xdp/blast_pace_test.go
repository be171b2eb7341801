// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/preview"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// runOf is the document of a run of blast with a receiver that it asks, and that receiver's.
func runOf(t *testing.T, l *testenv.Lab, receiver string, args ...string) (blast.Report, recv.Report) {
	t.Helper()
	ctx, cancel := context.WithCancel(timeout(t))
	defer cancel()
	receiving := background(t, ctx, "answered on TCP", "recv", netnsB(l), ":9000", "--engine", receiver, "--one-off", "--json", "-q")
	sent := decode[blast.Report](t, cli(timeout(t), append([]string{"blast", netnsA(l), "10.77.0.2:9000", "--peer", "--json", "-q"}, args...)...))
	return sent, decode[recv.Report](t, <-receiving)
}

// netnsA is the flag for the sending end.
func netnsA(l *testenv.Lab) string { return fmt.Sprintf("--netns=/proc/self/fd/%d", l.A.NS.FD()) }

// Each engine sends by a schedule, in bursts, after a warm-up, from one processor and with either pacing, and loses nothing of the run: what
// was sent before it is in no count of either end.
func TestScheduleBurstAndWarmup(t *testing.T) {
	l, _ := lab(t, testenv.Topology{Neighbours: testenv.Static})
	for _, engine := range []string{"wsk", "frames", "xdp", "udp", "sendmmsg", "gso", "packet"} {
		t.Run(engine, func(t *testing.T) {
			receiver, pacing := "udp", "spin"
			if engine == "xdp" {
				testenv.Require(t, testenv.XDPProgram)
				testenv.RequireKernel(t, 5, 18, "live frames")
				receiver, pacing = "xdp", "sleep" // without a program at its other end a veth takes no live frames
			}
			sent, got := runOf(t, l, receiver, "--engine", engine, "--schedule", "2k:200ms,10k:300ms", "--burst", "10", "--warmup", "50ms", "--pacing", pacing, "--cpus", "0")
			const want = 2000/5 + 10_000*3/10
			p, total := sent.Pacing, sent.Totals
			if p == nil || p.Burst < 10 || p.Burst > p.Bucket || (engine == "xdp") != (p.Max == nil) || engine != "xdp" && !strings.Contains(p.Method, "spinning") {
				t.Fatalf("%+v", p)
			}
			// On a machine that is busy elsewhere some of it is forfeited.
			if total.Requested != want || total.Submitted+p.Forfeited != want || sent.Peer == nil || sent.Peer.Received != total.Submitted || sent.Peer.Lost != 0 {
				t.Errorf("%+v, peer %+v", total, sent.Peer)
			}
			if w := sent.Warmup; w == nil || w.Submitted == 0 || w.Submitted > 2000/20 || got.Totals.Warmup != w.Submitted || got.Totals.Foreign != 0 {
				t.Errorf("%+v were sent before, %+v came", w, got.Totals)
			}
			if len(got.Runs) != 1 || got.Runs[0].Received != total.Submitted || got.Totals.Packets != total.Submitted+got.Totals.Warmup {
				t.Errorf("%+v", got.Runs)
			}
			if c := sent.Config; c.Burst != 10 || len(c.Schedule) != 2 || c.Schedule[1].MicroRate != 10_000e6 || !slices.Equal(c.CPUs, []int{0}) {
				t.Errorf("%+v", c)
			}
			steps := map[int]uint64{}
			for _, i := range sent.Intervals {
				steps[i.Step] += i.Submitted
			}
			if len(sent.Steps) != 2 || len(steps) != 2 || sent.Steps[0].Submitted != steps[1] || sent.Steps[1].Submitted != steps[2] || steps[1]+steps[2] != total.Submitted {
				t.Errorf("%+v, of intervals %v", sent.Steps, steps)
			}
		})
	}
}

// An interrupt during the warm-up ends the run as any other does, where there is a peer too. What warms up is no packet that a receiver
// expects.
func TestWarmupAlone(t *testing.T) {
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	receive, end := context.WithCancel(timeout(t))
	defer end()
	receiving := background(t, receive, "answered on TCP", "recv", netnsB(l), ":9000", "--expect", "2", "--json", "-q")
	for _, engine := range []string{"wsk", "udp"} {
		ctx, interrupt := context.WithCancel(timeout(t))
		sending := background(t, ctx, "warm-up of", "blast", netns, "10.77.0.2:9000", "--peer", "--warmup", "1h", "-r", "1k", "-q", "--engine", engine)
		interrupt()
		(<-sending).want(t, 0, "(interrupted)")
	}
	cli(timeout(t), "blast", netns, "10.77.0.2:9000", "--peer", "--warmup", "50ms", "-r", "1k", "-n", "1", "-q").want(t, 0, "every packet arrived")
	end()
	r := <-receiving
	r.want(t, 1, "1 of 2 packets came")
	if got := decode[recv.Report](t, r); got.Totals.Warmup < 2 || got.Totals.Packets != got.Totals.Warmup+1 {
		t.Errorf("%+v", got.Totals)
	}
}

// What hosts send back about the warm-up is of the warm-up; a verdict that nobody contradicts tells of it.
func TestWarmupErrorsAreItsOwn(t *testing.T) {
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	for key, value := range map[string]string{"ipv4/icmp_ratemask": "0", "ipv6/icmp/ratemask": "127"} { // an answer to each packet
		if err := l.B.NS.Sysctl(key, value); err != nil {
			t.Fatal(err)
		}
	}
	const told = "the destination answers, the port is closed ("
	for _, engine := range []string{"wsk", "udp", "sendmmsg", "gso"} {
		for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
			to := netip.AddrPortFrom(host, testPort).String()
			doc := decode[blast.Report](t, cli(timeout(t), "blast", netns, to, "--engine", engine, "--warmup", "50ms", "-r", "2k", "-n", "10", "-q", "--json"))
			warmed, run := doc.Warmup, doc.ICMPErrors
			if warmed == nil {
				t.Fatalf("%s to %s: no warm-up", engine, to)
			}
			if len(warmed.ICMPErrors) != 1 || warmed.ICMPErrors[0].Messages > warmed.Submitted || warmed.ICMPErrors[0].Messages <= doc.Totals.Submitted {
				t.Errorf("%s to %s: %+v", engine, to, warmed)
			}
			most := doc.Totals.Submitted
			if engine == "wsk" && len(warmed.ICMPErrors) == 1 { // an error that is read late does not say what it is about
				most = warmed.ICMPErrors[0].Messages
			}
			if len(run) != 1 || run[0].Messages > most || doc.Verdict.ID != "port_closed" || !strings.HasPrefix(doc.Verdict.Text, told) {
				t.Errorf("%s to %s: %+v of %d packets, %+v", engine, to, run, doc.Totals.Submitted, doc.Verdict)
			}
		}
	}
}

// What can't be kept is refused, before anything is sent, with what to do.
func TestPaceIsRefused(t *testing.T) {
	for args, part := range map[string]string{
		"--schedule 1k:1s -d 2s":               "--schedule and --duration",
		"--schedule 1k:1s -r 2k":               "--schedule and --rate",
		"--schedule 1:500ms,1k:1s":             "not one packet",
		"--schedule max:1s":                    "max is no rate of a step",
		"--schedule 1k":                        "is no step",
		"--burst 0":                            "--burst 0 is outside",
		"--burst 2 -r max":                     "--burst and --rate max",
		"--pacing spin -r max":                 "--rate max is none",
		"--pacing hum":                         "none of auto, sleep, spin",
		"--cpus 0,1":                           "engine wsk sends from one thread",
		"--cpus 0,0 --engine xdp --flows 2":    "names processor 0 twice",
		"--cpus 8191":                          "there is no such processor",
		"--cpus -1":                            "there is no such processor",
		"--burst 4 --pacing spin --engine xdp": "--burst and --pacing spin",
		"--schedule 1k:1s,2k:1s --pacing spin --engine xdp": "--schedule and --pacing spin",
	} {
		cli(timeout(t), append([]string{"blast", "10.0.0.1:9"}, strings.Fields(args)...)...).want(t, 2, part)
	}
}

// A run shorter than a second has a header and a row, with its true length, and an interval in each other form.
func TestShortRunsHaveIntervals(t *testing.T) {
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	for _, engine := range []string{"wsk", "frames", "udp"} {
		send := []string{"blast", netns, "10.77.0.2:9000", "-n", "50", "-r", "1k", "-q", "--engine", engine, "--format"}
		rows, err := csv.NewReader(strings.NewReader(cli(timeout(t), append(send, "csv")...).stdout)).ReadAll()
		if err != nil || len(rows) != 2 || rows[0][0] != "start_ns" || rows[1][2] != "50" {
			t.Errorf("%s: %v, %v", engine, rows, err)
		} else if end, err := strconv.Atoi(rows[1][1]); err != nil || end < 49e6 || end == 1e9 {
			t.Errorf("%s: an interval of %d ns, %v, for 50 packets a millisecond apart", engine, end, err)
		}
		r := cli(timeout(t), append(send, "ndjson")...)
		if i := records(t, r, blast.Schema); len(i) != 1 || i[0]["submitted_packets"] != 50.0 {
			t.Errorf("%s: %v", engine, i)
		}
	}
	ctx, cancel := context.WithCancel(timeout(t))
	echoing := background(t, ctx, "kernel ", "echo", netnsB(l), ":9001", "-q", "--format", "csv")
	file := captureFile(t, "pcap", mixedFrames(3))
	for _, args := range [][]string{
		{"ping", netns, "10.77.0.2:9001", "-c", "5", "-r", "1k", "-q", "--format", "csv"},
		{"replay", netns, file, "-q", "--topspeed", "--format", "csv"},
		{"recv", netns, ":9003", "--for", "10ms", "-q", "--format", "csv"},
	} {
		rows, err := csv.NewReader(strings.NewReader(cli(timeout(t), args...).stdout)).ReadAll()
		if err != nil || len(rows) != 2 || rows[0][0] != "start_ns" || rows[1][0] != "0" {
			t.Errorf("%v: %v, %v", args, rows, err)
		}
	}
	cancel()
	rows, err := csv.NewReader(strings.NewReader((<-echoing).stdout)).ReadAll()
	if err != nil || len(rows) < 2 || rows[0][0] != "start_ns" {
		t.Errorf("echo: %v, %v", rows, err)
	}
}

// A run is repeated from its own report, or described by a file; what the command line says wins, and what is no flag is told.
func TestConfigFile(t *testing.T) {
	_, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("run.json", `{"destination": "10.77.0.2:9000", "rate": "5k", "count": 100, "engine": "udp", "src-port": "5000-5003", "flows": 4, "quiet": true}`)
	report := filepath.Join(dir, "report.json")
	first := decode[blast.Report](t, cli(timeout(t), "blast", netns, "--config", file, "-n", "50", "--json", "-o", report, "--note", "first"))
	if c := first.Config; c.Destination != "10.77.0.2:9000" || c.Count != 50 || c.MicroRate != 5000e6 || c.Flows != 4 || c.Engine != "udp" || first.Totals.Submitted != 50 {
		t.Errorf("%+v", c)
	}
	if line := strings.Join(first.Command, " "); strings.Contains(line, "config") || !strings.Contains(line, "--src-port=5000-5003") || !strings.HasSuffix(line, " 10.77.0.2:9000") {
		t.Errorf("the command line needs the file: %s", line)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	// What it wrote, it does not write again: -o of the first run is left out.
	again := decode[blast.Report](t, cli(timeout(t), "blast", "--config", report, "--engine", "sendmmsg", "--note", "again"))
	if c := again.Config; c.Engine != "sendmmsg" || c.Count != 50 || c.Flows != 4 || again.Note != "again" || again.Totals.Submitted != 50 {
		t.Errorf("%+v", c)
	}
	if after, err := os.ReadFile(report); err != nil || string(after) != string(text) {
		t.Errorf("the report of the first run was written over: %v", err)
	}
	var third blast.Report
	if r := cli(timeout(t), again.Command[1:]...); r.code != 0 || json.Unmarshal([]byte(r.stdout), &third) != nil || third.Totals.Submitted != 50 {
		t.Errorf("the command line of the report: %v", r)
	}
	for name, c := range map[string]struct{ text, part string }{
		"unknown":   {`{"destination": "10.77.0.2:9", "ratio": 1}`, `"ratio" is no flag of wsk-xdp blast`},
		"itself":    {`{"config": "x"}`, `"config" is no flag`},
		"value":     {`{"destination": "10.77.0.2:9", "rate": "1m"}`, "m is no multiple"},
		"nowhere":   {`{"rate": "1k"}`, "give DST:PORT"},
		"other":     {`{"schema": "wsk-xdp.ping/1", "command": ["wsk-xdp", "ping", "10.77.0.2:9"]}`, "another command than wsk-xdp blast"},
		"strange":   {`{"schema": "wsk-xdp.blast/1", "command": ["wsk-xdp", "blast", "--no-such"]}`, "none of this version"},
		"no-object": {`[1]`, "is no JSON object"},
		"contrary":  {`{"destination": "10.77.0.2:9", "schedule": "1k:1s", "duration": "1s"}`, "--schedule and --duration"},
	} {
		r := cli(timeout(t), "blast", "--config", write(name+".json", c.text))
		r.want(t, 2, c.part)
		if goish.MatchString(r.stderr) {
			t.Errorf("%s: %v", name, r)
		}
	}
	cli(timeout(t), "blast", "--config", filepath.Join(dir, "none")).want(t, 2, "no such file")
}

// A bit rate counts the tags that frames get: that of --vlan, and that of a device which the way leads over.
func TestBitRatesCountTags(t *testing.T) {
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	ways := []struct{ to, args string }{
		{"10.77.0.2:9000", "--engine frames --vlan 42 -r 704kbit"},
		{"10.77.0.2:9000", "--engine frames -r 672kbit"},
		{"10.77.0.2:9000", "--engine xdp --vlan 42 -r 544kbit --rate-layer l2"},
		{"10.77.0.2:9000", "--engine packet --vlan 42 --schedule 704kbit:1s,704kbit:2s"},
		{"10.77.0.2:9000", "--engine packet --vlan 42 -r 144kbit --rate-layer payload"},
	}
	if _, err := l.A.If.VLAN("wsk0.7", 7, netip.MustParsePrefix("10.99.0.1/24")); err == nil {
		for _, more := range []string{"--engine wsk -r 704kbit", "--engine udp -r 704kbit", "--engine frames --vlan 42 -r 736kbit"} {
			ways = append(ways, struct{ to, args string }{"10.99.0.2:9000", more})
		}
	} else if !errors.Is(err, testenv.ErrNotSupported) {
		t.Fatal(err)
	}
	for _, way := range ways {
		args := append([]string{"blast", netns, way.to, "-s", "64", "--dry-run", "--json", "-q"}, strings.Fields(way.args)...)
		if c := decode[preview.Report](t, cli(timeout(t), args...)).Config; c.Rate != 1000 {
			t.Errorf("%s to %s: %+v", way.args, way.to, c)
		}
	}
}
