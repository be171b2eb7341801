// SPDX-License-Identifier: Apache-2.0

package ipc_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// document is docs/protocol.md by lines.
func document(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

// TestDocumentHasTheLayouts: the lines that say where fields lie are the same in the comments and on the page.
func TestDocumentHasTheLayouts(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var here []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if layout, ok := strings.CutPrefix(strings.TrimSpace(line), "//\t"); ok {
				here = append(here, layout)
			}
		}
	}
	var there []string
	fenced := false
	for _, line := range document(t) {
		if line == "```" {
			fenced = !fenced
		} else if fenced {
			there = append(there, line)
		}
	}
	slices.Sort(here)
	slices.Sort(there)
	if here, there = slices.Compact(here), slices.Compact(there); !slices.Equal(here, there) {
		for _, line := range here {
			if !slices.Contains(there, line) {
				t.Errorf("not on the page: %s", line)
			}
		}
		for _, line := range there {
			if !slices.Contains(here, line) {
				t.Errorf("on the page alone: %s", line)
			}
		}
	}
	if len(here) < 20 {
		t.Errorf("%d lines", len(here))
	}
}

func TestDocumentHasTheReasons(t *testing.T) {
	var want, got []string
	for r := range ipc.Reasons() {
		want = append(want, fmt.Sprintf("| %d | `%s` | %s |", uint32(r), r, r.Sentence()))
	}
	row := regexp.MustCompile("^\\| [0-9]+ \\| `")
	for _, line := range document(t) {
		if row.MatchString(line) {
			got = append(got, line)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows on the page:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestDocumentHasTheMessages: a message with the header that the page gives it is taken, and no other type is.
func TestDocumentHasTheMessages(t *testing.T) {
	row := regexp.MustCompile(`^\| 0x([0-9a-f]{4}) \| (\w+) \| (session|socket) \| (client|daemon) \| (.*?) ?\|$`)
	known := make(map[ipc.Type]bool)
	for _, line := range document(t) {
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var n uint16
		if _, err := fmt.Sscanf(m[1], "%x", &n); err != nil {
			t.Fatal(err)
		}
		h := ipc.Header{Type: ipc.Type(n), Seq: 1, Socket: 1}
		if h.Type.String() != m[2] {
			t.Errorf("%#x is %s, on the page %s", n, h.Type, m[2])
		}
		if m[3] == "session" {
			h.Socket = 0
		}
		unasked := m[4] == "daemon" || strings.HasPrefix(m[5], "none")
		if unasked {
			h.Seq = 0
		}
		parse := ipc.ParseRequest
		if m[4] == "daemon" {
			parse = ipc.ParseAnswer
		}
		if _, _, err := parse(h.Append(nil)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		reply := h
		reply.Type = h.Type.Reply()
		if _, _, err := ipc.ParseAnswer(reply.Append(nil)); (err == nil) == unasked {
			t.Errorf("%s: a reply: %v", line, err)
		}
		known[h.Type] = true
	}
	for n := range 1 << 16 {
		ty := ipc.Type(n)
		for _, h := range []ipc.Header{{Type: ty, Seq: 1}, {Type: ty, Seq: 1, Socket: 1}, {Type: ty}, {Type: ty, Socket: 1}} {
			_, _, request := ipc.ParseRequest(h.Append(nil))
			_, _, answer := ipc.ParseAnswer(h.Append(nil))
			if (request == nil || answer == nil) && !known[ty.Request()] {
				t.Fatalf("%s is not on the page", ty)
			}
		}
	}
}

// TestReasonsAreGiven: what there is a reason for, the daemon refuses for it somewhere.
func TestReasonsAreGiven(t *testing.T) {
	const table = "reason.go"
	var code strings.Builder
	for _, root := range []string{".", "../policy", "../service"} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || path == table {
				return err
			}
			text, err := os.ReadFile(path)
			code.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^\t(Reason\w+) +Reason = [1-9]`).FindAllStringSubmatch(string(text), -1)
	known := 0
	for range ipc.Reasons() {
		known++
	}
	if len(names) != known {
		t.Errorf("%d constants for %d reasons", len(names), known)
	}
	for _, name := range names {
		if !regexp.MustCompile(`\b` + name[1] + `\b`).MatchString(code.String()) {
			t.Errorf("nothing is refused for %s", name[1])
		}
	}
}
