// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func sampleReport(base bool) *Report {
	c := goodConfig()
	p := &place{iface: "wsk0", mtu: 1500, countedBy: "nobody", targets: make([]target, 1)}
	one := &comparison{size: 64, contestants: []*contestant{withRates("udp", 100.4, 50, 99), withRates("c", 0, 0, 0), withRates("x", 300, 0, 290)}}
	one.contestants[0].runs[1].syscalls, one.contestants[0].runs[0].syscalls, one.contestants[0].runs[2].syscalls = 1, 1, 1
	one.contestants[2].runs[0].granted = json.RawMessage(`[{"queue":0}]`)
	if base {
		one.contestants = append(one.contestants, withRates(Base, 200, 100, 200))
	}
	return newReport(&c, p, []*comparison{one}, 0)
}

// TestJSONKeys holds the document to the names that its readers know.
func TestJSONKeys(t *testing.T) {
	raw, err := json.Marshal(sampleReport(true))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(doc)); !slices.Equal(got, []string{"granted", "host", "results", "schema"}) {
		t.Errorf("keys of the document: %v", got)
	}
	if got := string(doc["schema"]); got != `"wsk-xdp.bench/1"` {
		t.Errorf("schema %s", got)
	}
	var results []map[string]any
	if err := json.Unmarshal(doc["results"], &results); err != nil {
		t.Fatal(err)
	}
	want := []string{"cpu_ns_per_packet", "engine", "frame_bytes", "pps_max", "pps_median", "pps_min", "queues", "ratio", "rss_bytes", "runs",
		"syscalls_per_packet", "user_ns_per_packet"}
	for _, r := range results {
		if got := slices.Sorted(maps.Keys(r)); !slices.Equal(got, want) {
			t.Errorf("keys of a result: %v, want %v", got, want)
		}
	}
	if len(results) != 3 {
		t.Fatalf("%d results, want 3: who never ran has none", len(results))
	}
	u := results[0]
	if u["engine"] != "udp" || u["pps_median"] != 99.0 || u["pps_min"] != 50.0 || u["pps_max"] != 100.0 || u["ratio"] != 0.5 ||
		u["syscalls_per_packet"] != 1.0 || u["runs"] != 3.0 {
		t.Errorf("udp: %v", u)
	}
	x := results[1]
	if x["ratio"] != 1.475 || x["syscalls_per_packet"] != nil || x["runs"] != 2.0 {
		t.Errorf("x: %v", x)
	}
	if results[2]["ratio"] != 1.0 {
		t.Errorf("%s: %v", Base, results[2])
	}
	if got := string(doc["granted"]); !strings.Contains(got, `{"engine":"x","frame_bytes":64,"queues":[{"queue":0}]}`) {
		t.Errorf("granted: %s", got)
	}
}

func TestRatioWithoutBase(t *testing.T) {
	for _, r := range sampleReport(false).Results {
		if r.Ratio != nil {
			t.Errorf("%s has a ratio of %v to nobody", r.Engine, *r.Ratio)
		}
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := sampleReport(true).WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"64-byte frames (with FCS) · 1 queue · 1 destination · counted: nobody\n",
		"2.00 (1.99–2.02)", // wsk against udp: 200/100.4, 100/50, 200/99
		"0.68 (0.67–0.69)", // wsk against x in the rounds that it ran
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
