// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/echo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// records are the lines of ndjson: a start, intervals, and an end with the whole document, which holds the same intervals.
func records(t *testing.T, r result, schema string) (intervals []map[string]any) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	for n, line := range lines {
		var one struct {
			Record, Schema             string
			Config, Interval, Document json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v in line %d: %v", err, n+1, r)
		}
		want := "interval"
		switch n {
		case 0:
			want = "start"
		case len(lines) - 1:
			want = "end"
		}
		if one.Record != want || one.Schema != schema {
			t.Fatalf("line %d is %s of %s, want %s of %s", n+1, one.Record, one.Schema, want, schema)
		}
		switch want {
		case "interval":
			var i map[string]any
			if err := json.Unmarshal(one.Interval, &i); err != nil {
				t.Fatal(err)
			}
			intervals = append(intervals, i)
		case "end":
			followsSchema(t, one.Document)
			var doc struct{ Intervals []json.RawMessage }
			if err := json.Unmarshal(one.Document, &doc); err != nil || len(doc.Intervals) != len(intervals) {
				t.Errorf("%d intervals in the document, %d records: %v", len(doc.Intervals), len(intervals), err)
			}
		}
	}
	return intervals
}

// Each of the measuring verbs tells about its seconds while it runs, as records and as rows.
func TestFormats(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	file := captureFile(t, "pcap", mixedFrames(3))
	// seconds is how often a command has shown a live line.
	until := func(format string, args ...string) result {
		t.Helper()
		ctx, cancel := context.WithCancel(timeout(t))
		defer cancel()
		out := &lineByLine{}
		done := make(chan int)
		go func() { done <- run(ctx, append(args, "--format", format), strings.NewReader(""), out, &lineByLine{}) }()
		lines := 2 // a start or a header, and a second
		if format == "csv" {
			lines = 3
		}
		testenv.Eventually(t, time.Minute, "seconds to be told", func() bool { return strings.Count(out.String(), "\n") >= lines })
		cancel()
		return result{<-done, out.String(), ""}
	}
	ctx, cancel := context.WithCancel(timeout(t))
	defer cancel()
	echoing := background(t, ctx, "kernel ", "echo", netnsB(l), ":9001", "-q", "--format", "ndjson")
	for _, c := range []struct {
		schema string
		key    string
		args   []string
	}{
		{recv.Schema, "received_packets", []string{"recv", netnsB(l), ":9000"}},
		{echo.Schema, "answered_packets", []string{"echo", netnsB(l), ":9002"}},
		{ping.Schema, "answered_pings", []string{"ping", netns, "10.77.0.2:9001", "-d", "0", patient}},
		{blast.Schema, "completed_packets", []string{"blast", netns, "10.77.0.2:9005", "-d", "0", "-r", "1k"}},
		{blast.Schema, "completed_packets", []string{"blast", netns, "10.77.0.2:9005", "-d", "0", "-r", "1k", "--engine", "frames"}},
		{replay.Schema, "completed_frames", []string{"replay", netns, file, "--loop", "0", "-r", "1k"}},
	} {
		r := until("ndjson", c.args...)
		r.want(t, 0)
		intervals := records(t, r, c.schema)
		if len(intervals) < 1 || intervals[0][c.key] == nil || intervals[0]["end_ns"].(float64) < 9e8 {
			t.Errorf("%s: %v", c.args[0], intervals)
		}
		rows, err := csv.NewReader(strings.NewReader(until("csv", c.args...).stdout)).ReadAll()
		if err != nil || len(rows) < 2 || rows[0][0] != "start_ns" || !strings.Contains(fmt.Sprint(rows[0]), c.key) || rows[1][0] != "0" {
			t.Errorf("%s: %v, %v", c.args[0], rows, err)
		}
	}
	cancel()
	intervals, answered := records(t, <-echoing, echo.Schema), 0.0
	for _, i := range intervals {
		answered += i["answered_packets"].(float64)
	}
	if answered == 0 {
		t.Errorf("%v", intervals)
	}
	cli(timeout(t), "recv", netns, ":9000", "--json", "--format", "csv").want(t, 2, "--json and --format csv: give one")
	cli(timeout(t), "ping", netns, "10.77.0.2:70000", "--format", "ndjson").want(t, 2, `{"record":"error","schema":"wsk-xdp.error/1","document":{`)
	cli(timeout(t), "recv", netns, ":9003", "--format", "json", "--for", "10ms", "-q").want(t, 1, `"schema": "wsk-xdp.recv/1"`)
}
