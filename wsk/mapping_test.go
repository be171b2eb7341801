// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/wsk-mapping.md names tests for what it claims. Each of them exists, and its table of the checklist has all 77
// items, each with a test.
func TestMappingNamesTests(t *testing.T) {
	text, err := os.ReadFile("../docs/wsk-mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]map[string]bool{} // by directory
	named := regexp.MustCompile("`(?:([a-z]+)\\.)?((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)(?:/[^`]*)?`")
	exists := func(dir, name string) bool {
		if tests[dir] == nil {
			tests[dir] = declared(t, dir)
		}
		return tests[dir][name]
	}
	dirs := map[string]string{
		"": ".", "datapath": "datapath", "replay": "replay", "netconn": "netconn", "route": "route", "wsktest": "wsktest",
		"companion": "datapath/internal/companion", "device": "datapath/internal/device", "receive": "datapath/internal/receive",
		"send": "datapath/internal/send", "frame": "../frame", "xdp": "../xdp", "bpf": "../bpf", "testenv": "../testenv",
	}
	for _, m := range named.FindAllStringSubmatch(string(text), -1) {
		dir, ok := dirs[m[1]]
		if !ok || !exists(dir, m[2]) {
			t.Errorf("%s names a test that does not exist", m[0])
		}
	}
	_, table, found := strings.Cut(string(text), "## The checklist")
	if !found {
		t.Fatal("no table of the checklist")
	}
	for item := 1; item <= 77; item++ {
		_, row, found := strings.Cut(table, fmt.Sprintf("\n| %d | ", item))
		row, _, _ = strings.Cut(row, "\n")
		if !found || !named.MatchString(row) {
			t.Errorf("item %d has no row with a test", item)
		}
	}
}

// declared are the tests of a directory.
func declared(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range function.FindAllSubmatch(source, -1) {
			names[string(m[1])] = true
		}
	}
	return names
}
