// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"strings"
	"testing"
)

type second struct {
	Start int64  `json:"start_ns"`
	N     uint64 `json:"packets,omitempty"`
}

// A run is told as its format says: nothing before the end to people, and line by line to programs.
func TestStream(t *testing.T) {
	for format, want := range map[Format]string{
		Human:    "a  b\n",
		Document: "{\n  \"start_ns\": 7\n}\n",
		Records: `{"record":"start","schema":"x/1","config":{"start_ns":1,"packets":2}}
{"record":"interval","schema":"x/1","interval":{"start_ns":3,"packets":4}}
{"record":"interval","schema":"x/1","interval":{"start_ns":5}}
{"record":"end","schema":"x/1","document":{"start_ns":7}}
`,
		Rows: "start_ns,packets\n3,4\n5,0\n",
	} {
		var out strings.Builder
		s := NewStream(&out, format)
		s.Begin("x/1", second{1, 2}, second{})
		s.Interval("x/1", second{3, 4})
		s.Interval("x/1", second{5, 0})
		var table Table
		table.Row("a", "b")
		if err := s.End("x/1", second{7, 0}, &table); err != nil || out.String() != want {
			t.Errorf("%v: %v\n%s\nwant\n%s", format, err, &out, want)
		}
		var again Format
		if err := again.Set(format.String()); err != nil || again != format {
			t.Errorf("%v: %v", format, err)
		}
	}
	var f Format
	if err := f.Set("xml"); err == nil || f.Type() != "human|json|ndjson|csv" {
		t.Error(err, f.Type())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// What can't be written is told at the end.
func TestStreamThatBreaks(t *testing.T) {
	for _, format := range []Format{Document, Records, Rows} {
		s := NewStream(broken{}, format)
		s.Interval("x/1", second{})
		s.Interval("x/1", second{})
		if err := s.End("x/1", second{}); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%v: %v", format, err)
		}
	}
}
