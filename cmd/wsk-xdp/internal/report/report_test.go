// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
)

// seconds are so many of them, in nanoseconds.
func seconds(n int) int64 { return int64(n) * int64(time.Second) }

// run is a run of blast with a peer, at 1,000 packets a second, of which 100 were lost in the third of four seconds.
func run() *blast.Report {
	r := &blast.Report{
		Head:    host.Head{Schema: blast.Schema, Version: "1.2"},
		Config:  blast.ConfigReport{Engine: "wsk", Destination: "10.77.0.2:9000<script>", Flows: 3, Frame: 64, RateAsked: "1k"},
		Totals:  blast.Totals{Submitted: 4000, Completed: 4000, Sending: seconds(4), SubmittedPPS: new(uint64(1000)), CompletedPPS: new(uint64(1000))},
		Latency: &blast.Latency{Count: 4000, Min: 900, P50: 12_000, P90: 30_000, P99: 80_000, P999: 700_000, Max: 2_100_000},
		Verdict: blast.Verdict{ID: "loss", Text: "100 of 4,000 lost at the peer"},
	}
	p := &peer.Report{Received: 3900, Lost: 100, Receiving: seconds(4), Delay: &peer.Delay{Count: 3900, Min: 5, P50: 6, P90: 7, P99: 8, P999: 9, Max: 10}}
	for i := range 4 {
		r.Intervals = append(r.Intervals, blast.IntervalReport{
			Start: seconds(i), End: seconds(i + 1), Submitted: 1000, Completed: 1000, P50: 12_000, P99: 80_000,
		})
		one := peer.Interval{Elapsed: seconds(i + 1), Received: uint64(1000 * (i + 1))}
		if i > 1 {
			one.Received, one.Lost = one.Received-100, 100
		}
		p.Intervals = append(p.Intervals, one)
	}
	r.Peer = p
	return r
}

// written is a document in a file.
func written(t *testing.T, document any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	text, err := json.Marshal(document)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) *Document {
	t.Helper()
	d, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSending(t *testing.T) {
	d := read(t, written(t, run()))
	if len(d.Rates) != 3 || d.Rates[0].PPS != 1000 || d.Rates[2] != (Rate{Name: "received", PPS: 975}) {
		t.Errorf("rates %v", d.Rates)
	}
	var titles []string
	for _, c := range d.Charts {
		titles = append(titles, c.Title)
	}
	if got := strings.Join(titles, "; "); got != "Rate over time; Lost, second by second; Completion over time" {
		t.Errorf("charts %s", got)
	}
	if rates := d.Charts[0].Lines; len(rates) != 3 || rates[2].Points[2] != (Point{3, 900}) || rates[2].Points[3] != (Point{4, 1000}) {
		t.Errorf("rates over time %v", rates)
	}
	if lost := d.Charts[1].Lines[0].Points; len(lost) != 4 || lost[1].Value != 0 || lost[2].Value != 100 || lost[3].Value != 0 {
		t.Errorf("lost over time %v", lost)
	}
	// What seemed lost and came after all is no negative loss.
	received, lost := arrivals([]peer.Interval{{Elapsed: 1, Received: 5, Lost: 7}, {Elapsed: 2, Received: 12}, {Elapsed: 2, Received: 13}})
	if len(received.Points) != 2 || lost.Points[1].Value != 0 {
		t.Errorf("%v, %v", received, lost)
	}
}

func TestReceiving(t *testing.T) {
	r := &recv.Report{Head: host.Head{Schema: recv.Schema}, Config: recv.Config{Listen: ":9000"}}
	for _, n := range []uint64{1000, 3000} {
		r.Runs = append(r.Runs, recv.RunReport{Report: peer.Report{Received: n, Receiving: seconds(2)}})
	}
	d := read(t, written(t, r))
	if len(d.Rates) != 2 || d.Rates[1] != (Rate{Name: "received, run 2", PPS: 1500}) {
		t.Errorf("rates %v", d.Rates)
	}
}

// The measurements of the repository are real documents.
func TestMeasurements(t *testing.T) {
	for name, rate := range map[string]string{"rates": "wsk-batch, 64 bytes", "receive-xdp": "netconn, 64 bytes"} {
		d := read(t, "../../../../docs/bench/"+name+".json")
		var names []string
		for _, r := range d.Rates {
			names = append(names, r.Name)
		}
		if text := strings.Join(names, "; "); !strings.Contains(text, rate) {
			t.Errorf("%s: no %q in %s", name, rate, text)
		}
		if changes, err := Compare(d, d); err != nil || len(changes) != len(d.Rates) || changes[0].Fall() != 0 {
			t.Errorf("%s with itself: %v, %v", name, changes, err)
		}
	}
}

// A page stands alone: it names no other place, its drawings are well formed, and what a document says is text in it.
func TestPage(t *testing.T) {
	var page bytes.Buffer
	empty := read(t, written(t, &blast.Report{Head: host.Head{Schema: blast.Schema}}))
	if err := WritePage(&page, []*Document{read(t, written(t, run())), read(t, "../../../../docs/bench/rates.json"), empty}); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if found := regexp.MustCompile(`(?i)(https?:)?//[a-z]|<script|<link|@import|url\(|src=`).FindAllString(text, -1); len(found) > 0 {
		t.Errorf("the page says %q", found)
	}
	for _, want := range []string{
		"prefers-color-scheme: dark", "100 of 4,000 lost at the peer", "p99.9: 700µs", "900 pps", "lost at 3.0s: 100", "blast 10.77.0.2:9000&lt;script&gt;",
		"wsk-batch, 64 bytes", "<td>lost</td><td>100</td>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(drawings) < 8 {
		t.Errorf("%d drawings", len(drawings))
	}
	for _, one := range drawings {
		d := xml.NewDecoder(strings.NewReader(one))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, one)
			}
		}
		if strings.Contains(one, "NaN") || strings.Contains(one, "Inf") {
			t.Errorf("no number in\n%s", one)
		}
	}
}

func TestCompare(t *testing.T) {
	later := run()
	later.Totals.CompletedPPS, later.Peer, later.Config.Frame = new(uint64(900)), nil, 128
	before, after := read(t, written(t, run())), read(t, written(t, later))
	changes, err := Compare(before, after)
	if err != nil || len(changes) != 3 || changes[0].Fall() != 0 || changes[1].Fall() < 0.099 || changes[1].Fall() > 0.101 || !changes[2].Gone ||
		changes[2].Fall() != 1 {
		t.Errorf("%+v, %v", changes, err)
	}
	if got := Differences(before, after); len(got) != 1 || got[0] != "not the same: frames was 64 bytes, is 128 bytes" {
		t.Errorf("%q", got)
	}
	var table bytes.Buffer
	if err := WriteChanges(&table, changes); err != nil || !strings.Contains(table.String(), "completed  1.000 kpps  900 pps     -10.0 %\n") {
		t.Errorf("%s, %v", &table, err)
	}
	for _, other := range []any{&recv.Report{Head: host.Head{Schema: recv.Schema}}, &blast.Report{Head: host.Head{Schema: blast.Schema}}} {
		if _, err := Compare(read(t, written(t, other)), after); err == nil {
			t.Errorf("%T is compared with blast", other)
		}
	}
}

func TestRead(t *testing.T) {
	for text, part := range map[string]string{
		"{": "is no JSON document", `{"a":1}`: "it has no schema", `{"schema":"wsk-xdp.lab/1"}`: "there are figures to show in",
		`{"schema":"wsk-xdp.error/1","message":"no route"}`: "a command wrote that failed: no route",
		`{"schema":"wsk-xdp.blast/1","totals":[]}`:          "of another kind", "": "is no JSON document",
	} {
		path := filepath.Join(t.TempDir(), "x.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
