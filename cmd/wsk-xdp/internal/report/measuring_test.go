// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"strings"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/echo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
)

// histogramOf is these times as a document has them.
func histogramOf(t testing.TB, times ...int64) string {
	t.Helper()
	h := hdr.New(1, 1e12, 3)
	for _, ns := range times {
		if err := h.RecordValue(ns); err != nil {
			t.Fatal(err)
		}
	}
	text, err := h.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pings is a run of ping that stalled in its second second.
func pings(t *testing.T) *ping.Report {
	r := &ping.Report{
		Head: host.Head{Schema: ping.Schema}, Config: ping.ConfigReport{Engine: "wsk", Destination: "10.77.0.2:9000", MicroRate: 1_000_000_000, Payload: 18},
		Totals:    ping.Totals{Due: 2000, Sent: 2000, Answered: 1990, Lost: 10, Sending: seconds(2)},
		RoundTrip: &ping.Times{Count: 1990, Min: 900, P50: 46_000, P90: 71_000, P99: 780_000, P999: 91_000_000, Max: 101_000_000},
		Load:      &ping.LoadReport{MicroRate: 200_000_000_000},
		LimitedBy: "cpu", Verdict: ping.Verdict{ID: "loss", Text: "10 of 2,000 pings lost"},
	}
	r.HDR.RoundTrip = histogramOf(t, 900, 46_000, 46_000, 101_000_000)
	for i := range 2 {
		r.Intervals = append(r.Intervals, ping.IntervalReport{
			Start: seconds(i), End: seconds(i + 1), Sent: 1000, Answered: uint64(1000 - 10*i), P50: 46_000, P99: 780_000, Max: int64(1e6 + 1e8*float64(i)),
		})
	}
	return r
}

func TestMeasuring(t *testing.T) {
	d := read(t, written(t, pings(t)))
	if len(d.Rates) != 3 || d.Rates[0] != (Rate{Name: "answered", PPS: 995}) || d.Rates[2] != (Rate{Name: "round trip p99", PPS: 780_000, Time: true}) {
		t.Errorf("rates %+v", d.Rates)
	}
	if len(d.Histograms) != 1 {
		t.Fatalf("%+v", d.Histograms)
	}
	bars := d.Histograms[0].Bars
	if first, last := bars[0], bars[len(bars)-1]; first != (Bar{0, 1000, 1}) || last != (Bar{65_536_000, 131_072_000, 1}) || bars[6] != (Bar{32_000, 64_000, 2}) {
		t.Errorf("%+v", bars)
	}
	if open := d.Charts[1].Lines[0].Points; len(d.Charts) != 3 || len(open) != 2 || open[0].Value != 0 || open[1].Value != 10 {
		t.Errorf("%+v", d.Charts)
	}
	e := &echo.Report{
		Head: host.Head{Schema: echo.Schema}, Config: echo.Config{Listen: ":9000"}, Totals: echo.Totals{Packets: 150, Answered: 140, Dropped: 10},
		Drops:     map[string]uint64{"rx_fill_ring_empty": 3},
		Intervals: []echo.IntervalReport{{End: seconds(1), Packets: 150, Answered: 140, Drops: 3}, {Start: seconds(1), End: seconds(2)}},
	}
	if d := read(t, written(t, e)); len(d.Rates) != 1 || d.Rates[0].PPS != 140 || len(d.Charts) != 2 || d.Classes[len(d.Classes)-1].Name != "rx fill ring empty" {
		t.Errorf("%+v", d)
	}
	f := &replay.Report{
		Head: host.Head{Schema: replay.Schema}, Config: replay.ConfigReport{File: "mixed.pcap", Pacing: "original"},
		Totals: replay.Totals{Submitted: 7, Completed: 7, CompletedPPS: new(uint64(7))},
		Gaps:   &replay.GapsReport{Asked: &replay.Quantiles{P50: 1, P99: 2, Max: 3}, Reached: replay.Quantiles{P50: 2}},
	}
	if d := read(t, written(t, f)); len(d.Rates) != 1 || len(d.Delays) != 2 || d.Title != "replay mixed.pcap" {
		t.Errorf("%+v", d)
	}
	s := &recv.Report{Head: host.Head{Schema: recv.Schema}, Intervals: []recv.IntervalReport{{End: seconds(1), Packets: 5, Received: 4, Lost: 1}}}
	if d := read(t, written(t, s)); len(d.Charts) != 2 || d.Charts[1].Lines[0].Points[0].Value != 1 {
		t.Errorf("%+v", d)
	}
	if d := read(t, "../../../../docs/bench/latency.json"); len(d.Rates) == 0 || !d.Rates[0].Time || d.Rates[0].Least == 0 {
		t.Errorf("%+v", d.Rates)
	}
}

// A time that rose is as bad as a rate that fell.
func TestCompareTimes(t *testing.T) {
	later := pings(t)
	later.RoundTrip.P99 *= 2
	changes, err := Compare(read(t, written(t, pings(t))), read(t, written(t, later)))
	if err != nil || len(changes) != 3 || changes[0].Fall() != 0 || changes[2].Fall() != 1 || changes[2].Word() != "rose" || changes[0].Word() != "fell" {
		t.Errorf("%+v, %v", changes, err)
	}
	var table bytes.Buffer
	if err := WriteChanges(&table, changes); err != nil || !strings.Contains(table.String(), "round trip p99  780µs    1.6ms    +100.0 %\n") {
		t.Errorf("%s, %v", &table, err)
	}
}

// Every figure is a row.
func TestCSV(t *testing.T) {
	var out bytes.Buffer
	d := read(t, written(t, pings(t)))
	d.File = "a.json"
	if err := WriteCSV(&out, []*Document{d}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"file,kind,name,at,value", "a.json,condition,engine,,wsk", "a.json,packets,lost,,10", "a.json,rate,answered,,995", "a.json,time,round trip p99,,780000",
		`a.json,percentile,"Round trip, from the time that a ping was due to its answer",p99.9,91000000`, "a.json,over time,Rate over time: answered,2,990",
		`a.json,histogram,"Round trips, how many took how long",32000-64000,2`, `a.json,verdict,,,"10 of 2,000 pings lost"`,
	} {
		if !strings.Contains("\n"+out.String(), "\n"+row+"\n") {
			t.Errorf("no row %s in\n%s", row, &out)
		}
	}
}

// Whatever a file has in place of a histogram, it draws a histogram or none.
func FuzzHistogram(f *testing.F) {
	f.Add(histogramOf(f, 1, 1e6, 1e11))
	f.Add("HISTFAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		var d Document
		d.histogram("x", text)
		for _, h := range d.Histograms {
			if h.SVG() == "" || len(h.Bars) > 64 {
				t.Errorf("%+v", h)
			}
		}
	})
}
