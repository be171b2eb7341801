// SPDX-License-Identifier: Apache-2.0

package units

import (
	"math"
	"testing"
	"time"
)

func TestFactor(t *testing.T) {
	for _, c := range []struct {
		text, again string
		of          time.Duration // a second
	}{
		{"1", "1", time.Second}, {"2", "2", time.Second / 2}, {"0.5", "0.5", 2 * time.Second}, {"10x", "10", 100 * time.Millisecond},
		{"0.000001", "0.000001", 1_000_000 * time.Second}, {"1000000", "1000000", time.Microsecond},
	} {
		var f Factor
		if err := f.Set(c.text); err != nil || f.String() != c.again || f.Of(time.Second) != c.of {
			t.Errorf("%s: %v, %v, %v", c.text, f, f.Of(time.Second), err)
		}
	}
	for _, text := range []string{"", "x", "0", "-1", "1.0000001", "1000001", "2 x", "1e3", "nan", "5%"} {
		var f Factor
		if err := f.Set(text); err == nil {
			t.Errorf("%q is taken for %v", text, f)
		}
	}
	var once, slow Factor = 0, 1
	if once.Of(7) != 7 || once.String() != "1" || slow.Of(10*time.Hour) != math.MaxInt64 || once.Of(math.MaxInt64) != math.MaxInt64 || once.Of(0) != 0 {
		t.Errorf("%v, %v", slow.Of(time.Hour), once.Of(math.MaxInt64))
	}
}

func FuzzFactor(f *testing.F) {
	for _, s := range []string{"1", "0.5", "10x", "x", "1e9"} {
		f.Add(s, int64(time.Second))
	}
	f.Fuzz(func(t *testing.T, s string, d int64) {
		var v Factor
		if v.Set(s) != nil {
			return
		}
		var again Factor
		if err := again.Set(v.String()); err != nil || again != v {
			t.Errorf("%q becomes %v, and %v, %v", s, v, again, err)
		}
		if d > 0 && v.Of(time.Duration(d)) < 0 {
			t.Errorf("%d at %v times takes %v", d, v, v.Of(time.Duration(d)))
		}
	})
}
