// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/benchtest"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// The test binary is also the child of a run.
func TestMain(m *testing.M) {
	benchtest.Main(m, map[string]func(io.Reader, io.Writer) error{PartSend: Send})
}

// quick is a configuration of short runs.
func quick(t *testing.T) Config {
	t.Helper()
	return Config{
		Engines: Names(), Families: []int{4, 6}, Destinations: []int{1, 100}, Sockets: []int{1, 3}, Changes: []int{0, 100}, Routes: []int{1, 2000},
		Beside: 10, Runs: 1, Duration: 20 * time.Millisecond, Warmup: 20 * time.Millisecond, Child: benchtest.Child(t),
	}
}

// TestEveryPoint measures each once and judges what can be known.
func TestEveryPoint(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	runs := 0
	c.Progress = func(Progress) { runs++ }
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err != nil {
		t.Fatal(err)
	}
	points := c.points()
	if len(r.Scale) != 2*len(points) || runs != len(r.Scale) || len(points) != 10 {
		t.Fatalf("%d results, %d runs, points %v", len(r.Scale), runs, points)
	}
	for i, res := range r.Scale {
		if res.Point != points[i/2] || res.Engine != Names()[i%2] || res.Runs != 1 {
			t.Errorf("%+v, want %+v", res, points[i/2])
		}
		if res.PPSMedian == 0 || res.Ratio == nil || res.Growth == nil || *res.Growth <= 0 || res.CPUNsPerPacket <= 0 || res.FirstNs <= 0 {
			t.Errorf("%+v", res)
		}
		if (res.Changes > 0) != (res.Changed > 0) {
			t.Errorf("%d changes a second were wanted: %+v", res.Changes, res)
		}
		if res.Engine == "wsk" && res.Slow > 10_000 {
			t.Errorf("through the kernel's stack: %+v", res)
		}
	}
	var text bytes.Buffer
	if err := r.WriteTable(&text); err != nil || !strings.Contains(text.String(), "2,000") {
		t.Errorf("%v\n%s", err, text.String())
	}
	benchtest.NothingRuns(t)
}

// TestFailure: what can't be had is named, and the others are measured.
func TestFailure(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Families, c.Destinations, c.Sockets, c.Changes, c.Routes = []int{4}, []int{1}, []int{1}, []int{0}, []int{1}
	program := c.Child[0] + " child"
	c.Child = []string{"/bin/sh", "-c", `read task; case "$task" in *wsk\"*) echo no rings >&2; exit 3;; esac; echo "$task" | ` + program + ` scale-send`, "-"}
	r, err := Run(testenv.Context(t, benchtest.Limit), c)
	if err == nil || !strings.Contains(err.Error(), "wsk at IPv4, 1 destination") || !strings.Contains(err.Error(), "no rings") {
		t.Errorf("error %v", err)
	}
	if r != nil && (len(r.Scale) > 1 || len(r.Scale) == 1 && r.Scale[0].Engine != Base) {
		t.Errorf("%+v", r.Scale)
	}
}

// TestInterruptedRun gives everything back.
func TestInterruptedRun(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram|testenv.AFXDP)
	c := quick(t)
	c.Duration = time.Hour
	benchtest.Interrupted(t, 2*time.Second, func(ctx context.Context) error {
		_, err := Run(ctx, c)
		return err
	})
}

func TestCheck(t *testing.T) {
	benchtest.Refused(t, quick(t), (*Config).Check, map[string]func(*Config){
		`engine "x" is none of`:            func(c *Config) { c.Engines = []string{"x"} },
		"no engine":                        func(c *Config) { c.Engines = nil },
		"IP version 5":                     func(c *Config) { c.Families = []int{5} },
		"no IP version":                    func(c *Config) { c.Families = nil },
		"0 destinations is outside":        func(c *Config) { c.Destinations = []int{0} },
		"2000000 destinations is outside":  func(c *Config) { c.Destinations = []int{2_000_000} },
		"1 destinations is given twice":    func(c *Config) { c.Destinations = []int{1, 1} },
		"0 destinations beside is outside": func(c *Config) { c.Beside = 0 },
		"no number of sockets":             func(c *Config) { c.Sockets = nil },
		"-1 changes a second is outside":   func(c *Config) { c.Changes = []int{-1} },
		"0 routes is outside":              func(c *Config) { c.Routes = []int{0} },
		"0 runs":                           func(c *Config) { c.Runs = 0 },
		"duration 0s":                      func(c *Config) { c.Duration = 0 },
		"points are more than 500":         func(c *Config) { c.Every, c.Destinations, c.Sockets = true, upTo(30), upTo(30) },
	})
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i+1)
	}
	return list
}

// TestPoints: one list after the other, or every combination, each point once.
func TestPoints(t *testing.T) {
	c := Config{
		Families: []int{6}, Destinations: []int{1, 7}, Sockets: []int{1, 2}, Changes: []int{0, 9}, Routes: []int{1}, Beside: 7,
	}
	want := []Point{{6, 1, 1, 0, 1}, {6, 7, 1, 0, 1}, {6, 7, 2, 0, 1}, {6, 7, 1, 9, 1}}
	if got := c.points(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	c.Every = true
	if got := c.points(); len(got) != 8 || got[0] != want[0] || !slices.Contains(got, Point{6, 1, 2, 9, 1}) {
		t.Errorf("%v", got)
	}
}

// TestAddresses: a million of them are a million, each in its own prefix and in none of the laboratory.
func TestAddresses(t *testing.T) {
	for _, version := range []int{4, 6} {
		seen := make([]bool, maxDestinations<<1)
		var first, second [16]byte
		for i := range maxDestinations {
			a, p := destination(version, i), prefix(version, i)
			bits := p.Addr().As16()
			at := binary.BigEndian.Uint32(bits[12:]) >> 3 // what differs from one prefix to the next; a map is slow with the race detector
			if version == 6 {
				at = binary.BigEndian.Uint32(bits[2:])
			}
			at &= 1<<numberBits - 1
			if seen[at] || !p.Contains(a) || a.Is4() != (version == 4) || unrelated[version].Overlaps(p) {
				t.Fatalf("%v in %v, number %d", a, p, i)
			}
			seen[at] = true
			if i == 1 {
				first = a.As16()
			}
		}
		second = destination(version, 1).As16()
		if first != second {
			t.Errorf("%x and %x", first, second)
		}
	}
	d, low, high := newDice(), 0, 0
	for range 1000 {
		switch n := d.below(10); {
		case n < 0 || n > 9:
			t.Fatal(n)
		case n < 5:
			low++
		default:
			high++
		}
	}
	if low < 400 || high < 400 {
		t.Errorf("%d below the middle, %d above", low, high)
	}
}

// TestDocument holds the keys of the JSON document to what was published.
func TestDocument(t *testing.T) {
	c := quick(t)
	p := Point{4, 5, 1, 0, 1}
	one := &contestant{Point: p, engine: "wsk", Contestant: stats.Contestant[figures]{Runs: stats.Runs[figures]{{pps: 30}, {pps: 10}, nil}}}
	two := &contestant{Point: p, engine: Base, Contestant: stats.Contestant[figures]{Runs: stats.Runs[figures]{{pps: 10}, {pps: 10}, nil}}}
	doc := benchtest.Document(t, newReport(&c, []*contestant{one, two}, 0), Schema, "scale", 2,
		"cpu_ns_per_packet destinations engine first_datagram_ns growth ip_version pps_max pps_median pps_min ratio route_changes_per_second "+
			"route_changes_reached routes routes_asked rss_bytes runs slow_datagrams sockets user_ns_per_packet")
	if f := doc[0]; f["ratio"] != 2.0 || f["growth"] != 1.0 || f["pps_max"] != 30.0 {
		t.Errorf("%v", f)
	}
}
