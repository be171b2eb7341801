// SPDX-License-Identifier: Apache-2.0

package job

import (
	"strings"
	"testing"
)

// FuzzParse: whatever a guest says, it is either output or a marker that says the same when written again.
func FuzzParse(f *testing.F) {
	f.Add("output")
	f.Add(Marker{Kind: Ready, Text: "6.1"}.Format("n"))
	f.Add("half a line" + Marker{Kind: End, Index: 3, Code: -1}.Format("n"))
	f.Add(prefix + "n END 99999999999999999999 0")
	f.Add(prefix + "n  \x00 0 0")
	f.Fuzz(func(t *testing.T, line string) {
		m, before, ok := Parse(line, "n")
		if !ok {
			return
		}
		again, none, ok := Parse(m.Format("n"), "n")
		if !ok || none != "" || again.Kind != m.Kind || again.Index != m.Index || again.Code != m.Code {
			t.Errorf("%q: %+v became %+v, %t", line, m, again, ok)
		}
		if !strings.HasPrefix(line, before) {
			t.Errorf("%q: %q is not what stands before", line, before)
		}
	})
}

func TestMarker(t *testing.T) {
	for _, m := range []Marker{
		{Kind: Ready, Text: "6.1.0-amd64"}, {Kind: Begin, Index: 2}, {Kind: End, Index: 2, Code: 137}, {Kind: Done},
		{Kind: Broken, Text: "load module x: no such file"},
	} {
		got, before, ok := Parse("abc"+m.Format("nonce")+"\r\n", "nonce")
		if !ok || got != m || before != "abc" {
			t.Errorf("%+v, %q, %t, want %+v", got, before, ok, m)
		}
	}
}
