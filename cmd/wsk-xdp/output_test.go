// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// -o writes the whole document beside the table, --note stands in it and in what report makes of it, and -qq leaves the exit code alone.
func TestOutputNoteAndSilence(t *testing.T) {
	_, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	dir := t.TempDir()
	file, page := filepath.Join(dir, "run.json"), filepath.Join(dir, "run.html")
	const note = "after <the> change"
	send := []string{"blast", netns, "10.77.0.2:9000", "-n", "5", "--engine", "udp"}
	r := cli(timeout(t), append(send, "-o", file, "--note", note)...)
	r.want(t, 0, "submitted", "verdict")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	followsSchema(t, text)
	var doc blast.Report
	if err := json.Unmarshal(text, &doc); err != nil || doc.Note != note || doc.Totals.Submitted != 5 {
		t.Errorf("%v: %s", err, text)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("what was written on the way is still there: %v, %v", left, err)
	}
	cli(timeout(t), "report", file).want(t, 0, "note", note)
	cli(timeout(t), "report", file, "--csv", "-").want(t, 0, ",note,,,after <the> change\n")
	cli(timeout(t), "report", file, "--html", page).want(t, 0)
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), `<p class="note">after &lt;the&gt; change</p>`) {
		t.Errorf("%v: the page does not have the note", err)
	}

	cli(timeout(t), append(send, "-o", file)...).want(t, 2, "--output", "is there already")
	cli(timeout(t), append(send, "-o", filepath.Join(dir, "no", "such"))...).want(t, 2, "--output", "no such file")
	cli(timeout(t), append(send, "-o", file, "--force", "-q")...).want(t, 0)
	if again, err := os.ReadFile(file); err != nil || string(again) == string(text) {
		t.Errorf("%v: --force did not write over the file", err)
	}
	decode[blast.Report](t, cli(timeout(t), append(send, "-q", "-o", "-")...))

	silent := func(code int, args ...string) result {
		t.Helper()
		r := cli(timeout(t), args...)
		if r.code != code || r.stdout != "" || code != 2 && code != 3 && r.stderr != "" {
			t.Errorf("%q: %v", args, r)
		}
		return r
	}
	silent(0, append(send, "-qq")...)
	silent(0, append(send, "-q", "--quiet", "-o", filepath.Join(dir, "other.json"))...)
	silent(4, append(send, "-qq", "--fail-if", "failed<1")...)
	silent(1, "recv", netns, ":9000", "--for", "10ms", "-qq")
	silent(1, "echo", netns, ":9000", "--for", "10ms", "-qq")
	silent(2, append(send, "-qq", "-r", "1m")...).want(t, 2, "multiple")
	silent(2, append(send, "-qq", "--format", "csv")...).want(t, 2, "-qq says nothing")
	silent(3, append(send, "-qq", "--peer")...).want(t, 3, "--peer")
	if _, err := os.Stat(filepath.Join(dir, "other.json")); err != nil {
		t.Error(err)
	}
}
