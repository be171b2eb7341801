// SPDX-License-Identifier: Apache-2.0

package units

import "testing"

func TestShare(t *testing.T) {
	for text, want := range map[string]Share{"5%": 5e4, "0%": 0, "100%": 1e6, "0.5%": 5e3, "0.0001%": 1, ".5%": 5e3} {
		var s Share
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
		var again Share
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%s is written %s: %d, %v", text, s, again, err)
		}
	}
	for _, text := range []string{"", "5", "5 %", "-5%", "101%", "0.00001%", "x%", "%", "5%%", "99999999999999999999%", "1e1%"} {
		var s Share
		if err := s.Set(text); err == nil {
			t.Errorf("%q is taken for %v", text, s)
		}
	}
}
