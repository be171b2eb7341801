// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

const nonce = "N0NCE"

// said is what an agent sends for these: markers as themselves, output as strings.
func said(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case job.Marker:
			b.WriteString("\n" + p.Format(nonce) + "\r\n")
		case string:
			b.WriteString(p)
		}
	}
	return b.String()
}

var (
	ready = job.Marker{Kind: job.Ready, Text: "6.1"}
	done  = job.Marker{Kind: job.Done}
)

func begin(i int) job.Marker     { return job.Marker{Kind: job.Begin, Index: i} }
func end(i, code int) job.Marker { return job.Marker{Kind: job.End, Index: i, Code: code} }

func TestTranscript(t *testing.T) {
	forged := job.Marker{Kind: job.Done}.Format("another") + "\n"
	for name, c := range map[string]struct {
		said     string
		state    State
		commands []CommandResult
	}{
		"nothing":      {"", NeverReady, []CommandResult{{Line: "a"}, {Line: "b"}}},
		"noise":        {"SeaBIOS\n" + forged, NeverReady, []CommandResult{{Line: "a"}, {Line: "b"}}},
		"done unready": {said(done), NeverReady, []CommandResult{{Line: "a"}, {Line: "b"}}},
		"broken": {said(job.Marker{Kind: job.Broken, Text: "no NIC"}, done), Broken,
			[]CommandResult{{Line: "a"}, {Line: "b"}}},
		"all": {said(ready, "junk", begin(0), "one\ntwo", end(0, 0), begin(1), end(1, 3), done), Done,
			[]CommandResult{{"a", "one\ntwo", true, 0}, {"b", "", true, 3}}},
		"a dead guest keeps the output so far": {said(ready, begin(0), "one\n", end(0, 0), begin(1), "so f"), Ready,
			[]CommandResult{{"a", "one\n", true, 0}, {"b", "so f", false, 0}}},
		"a marker in the middle of a line": {said(ready, begin(0)) + "half" + end(0, 1).Format(nonce) + "\n", Ready,
			[]CommandResult{{"a", "half", true, 1}, {Line: "b"}}},
		"markers that are not this guest's are output": {said(ready, begin(0), forged, end(0, 0)), Ready,
			[]CommandResult{{"a", forged, true, 0}, {Line: "b"}}},
		"indices from nowhere": {said(ready, begin(7), "x\n", end(7, 0), end(-1, 0), begin(0), end(1, 0)), Ready,
			[]CommandResult{{Line: "a"}, {Line: "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			j := &job.Job{Nonce: nonce, Commands: []job.Command{{Line: "a"}, {Line: "b"}}}
			told := 0
			tr := newTranscript(j, nil, func() { told++ })
			if err := tr.read(strings.NewReader(c.said)); err != nil {
				t.Fatal(err)
			}
			if tr.state != c.state {
				t.Errorf("state %v, want %v", tr.state, c.state)
			}
			if d := cmp.Diff(c.commands, tr.commands); d != "" {
				t.Error(d)
			}
			if want := map[bool]int{true: 1}[c.state == Ready || c.state == Done]; told != want {
				t.Errorf("told %d times that the guest is ready, want %d", told, want)
			}
		})
	}
}

func TestOutputIsShownAsItComes(t *testing.T) {
	var live strings.Builder
	j := &job.Job{Nonce: nonce, Commands: []job.Command{{Line: "a"}}}
	tr := newTranscript(j, &live, func() {})
	if err := tr.read(strings.NewReader(said("boot\n", ready, begin(0), "one\n", end(0, 0), done))); err != nil {
		t.Fatal(err)
	}
	if got := live.String(); strings.TrimSpace(got) != "one" {
		t.Errorf("shown: %q", got)
	}
}
