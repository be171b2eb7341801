// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

// runLine runs a command on a port that is a pipe.
func runLine(t *testing.T, line string, timeout time.Duration) (code int, output string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		raw, _ := io.ReadAll(r)
		r.Close()
		said <- string(raw)
	}()
	p := &port{file: w, nonce: "n"}
	code = p.run(job.Command{Line: line, Timeout: timeout}, []string{"PATH=/bin:/usr/bin", "WORD=hello"})
	w.Close()
	return code, <-said
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		line   string
		code   int
		output string
	}{
		{"echo $WORD; echo oops >&2", 0, "hello\noops\n"},
		{"exit 7", 7, ""},
		{"kill -TERM $$", 128 + 15, ""},
		{"[ -t 1 ] && echo terminal; true", 0, ""},
		// What is left behind neither holds up the guest nor lives on.
		{"sleep 1000 & echo started", 0, "started\n"},
	} {
		start := time.Now()
		code, output := runLine(t, c.line, time.Minute)
		if code != c.code || output != c.output {
			t.Errorf("%s: code %d, output %q, want %d, %q", c.line, code, output, c.code, c.output)
		}
		if time.Since(start) > killDelay {
			t.Errorf("%s: took %v", c.line, time.Since(start))
		}
	}
}

func TestRunTimesOut(t *testing.T) {
	const line = "trap 'echo asked; exit 3' QUIT; echo begun; while :; do sleep 0.01; done"
	code, output := runLine(t, line, 2*time.Second) // by then the shell is there
	if code != job.CodeTimeout {
		t.Errorf("code %d", code)
	}
	for _, want := range []string{"begun\n", "not done after", "asked"} {
		if !strings.Contains(output, want) {
			t.Errorf("output %q, want %q in it", output, want)
		}
	}
}

func TestMarkersStandOnLinesOfTheirOwn(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := &port{file: w, nonce: "n"}
	_, _ = w.WriteString("no end of line")
	p.say(job.Marker{Kind: job.Broken, Text: "first\nsecond"})
	w.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	if len(lines) != 3 {
		t.Fatalf("%q", raw)
	}
	if m, before, ok := job.Parse(lines[1], "n"); !ok || before != "" || m.Kind != job.Broken || m.Text != "first; second" {
		t.Errorf("%+v %q %t", m, before, ok)
	}
	if _, _, ok := job.Parse(lines[1], "other"); ok {
		t.Error("another nonce's marker was taken")
	}
}
