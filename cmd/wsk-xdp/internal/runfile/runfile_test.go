// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Values are taken as they would be written, in their order; a report is its command line.
func TestParse(t *testing.T) {
	for text, want := range map[string]File{
		`{}`: {},
		` {"rate": "1M", "flows": 1000, "peer": true, "cpus": [2, 3], "count": 10000000000000000000, "rate2": 1.50} `: {
			Settings: []Setting{{"rate", "1M"}, {"flows", "1000"}, {"peer", "true"}, {"cpus", "2,3"}, {"count", "10000000000000000000"}, {"rate2", "1.50"}},
		},
		`{"schema": "wsk-xdp.blast/1", "totals": {}, "command": ["wsk-xdp", "blast", "10.77.0.2:9000", "-r", "5k"]}`: {
			Command: []string{"wsk-xdp", "blast", "10.77.0.2:9000", "-r", "5k"},
		},
		`{"command": "x"}`: {Settings: []Setting{{"command", "x"}}}, // which is no flag, and told there
	} {
		got, err := Parse([]byte(text))
		if err != nil || !slices.Equal(got.Settings, want.Settings) || !slices.Equal(got.Command, want.Command) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, part := range map[string]string{
		``: "no JSON object", `[]`: "no JSON object", `{`: "no JSON object", `"x"`: "no JSON object", `{} {}`: "no JSON object", `null`: "no JSON object",
		`{"rate": null}`: `"rate" has no value`, `{"rate": {}}`: `"rate" is an object`, `{"cpus": [[1]]}`: "list of lists", `{"cpus": [{}]}`: "is an object",
		`{"rate": "1k", "rate": "2k"}`:                  `"rate" is in it twice`,
		`{"schema": "other/1", "command": ["x"]}`:       "no report of wsk-xdp",
		`{"schema": "wsk-xdp.blast/1"}`:                 "without its command line",
		`{"schema": "wsk-xdp.blast/1", "command": "x"}`: "", // the schema is no flag
	} {
		f, err := Parse([]byte(text))
		if part == "" {
			if err != nil || len(f.Settings) != 2 {
				t.Errorf("%s: %+v, %v", text, f, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %q", text, err, part)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Error(err)
	}
}

var goish = regexp.MustCompile(`strconv|encoding/|invalid character|json:|%!`)

func FuzzConfig(f *testing.F) {
	for _, s := range []string{`{"rate": "1M", "cpus": [2, 3]}`, `{"schema": "wsk-xdp.blast/1", "command": ["a"]}`, `{"a": {}}`, `[`, `{"a":1e999}`, `{"":""}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err != nil {
			if goish.MatchString(err.Error()) && !goish.Match(text) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		names := map[string]bool{}
		for _, s := range file.Settings {
			if names[s.Name] {
				t.Errorf("%q: %s twice", text, s.Name)
			}
			names[s.Name] = true
		}
		if len(file.Command) > 0 && len(file.Settings) > 0 {
			t.Errorf("%q: %+v", text, file)
		}
	})
}
