// SPDX-License-Identifier: Apache-2.0

package failif

import (
	"regexp"
	"strings"
	"testing"
)

// A condition holds beyond its bound, not at it, and where its figure is missing.
func TestConditions(t *testing.T) {
	f := Figures{
		Counts: map[string]uint64{"loss": 10, "failed": 0, "slow_path": 1}, All: 10_000, PPS: new(uint64(990)), Rate: 1000,
		Times: map[string]int64{"p99": 50_000, "p99.9": 50_001},
	}
	for text, want := range map[string]bool{
		"loss>0.1%": false, "loss>0.09%": true, "loss>10": false, "loss>9": true, "loss<11": true, "failed>0": false, "slow_path>0": true,
		"pps<0.99*rate": false, "pps<0.991*rate": true, "pps<991": true, "pps>1k": false, "p99>50us": false, "p99.9>50us": true, " p99 > 49µs ": true,
		"duplicate>0": true, "max>1h": true, "p50<1ns": true,
	} {
		var l List
		if err := l.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := l.Check(f); len(got) != 1 || got[0].Holds != want || got[0].Condition != text || got[0].Figure == "" {
			t.Errorf("%s: %+v", text, got)
		}
	}
	var l List
	if err := l.Set("loss>0.1%,pps<0.99*rate,p99>50us,slow_path>0"); err != nil || len(l) != 4 || l.String() != "loss>0.1%,pps<0.99*rate,p99>50us,slow_path>0" {
		t.Error(l, err)
	}
}

var goish = regexp.MustCompile(`strconv|encoding/|time:|invalid|%!`)

func FuzzConditions(f *testing.F) {
	for _, s := range []string{"loss>0.1%,pps<0.99*rate", "p99.9>50us", "", ",", "loss", "loss>", ">1", "pps<2*rate", "pps<-1*rate", "pps<NaN*rate", "loss>101%",
		"p99>soon", "x>1", strings.Repeat("loss>1,", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var l List
		if err := l.Set(s); err != nil {
			if goish.MatchString(err.Error()) && !goish.MatchString(s) {
				t.Error(err)
			}
			return
		}
		for _, o := range l.Check(Figures{}) {
			if !o.Holds {
				t.Errorf("%+v without a figure", o)
			}
		}
		var again List
		if err := again.Set(l.String()); err != nil || again.String() != l.String() {
			t.Errorf("%q becomes %q: %v", s, l.String(), err)
		}
	})
}
