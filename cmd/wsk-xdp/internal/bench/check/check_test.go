// SPDX-License-Identifier: Apache-2.0

package check

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type thing struct{ name, summary string }

func (t thing) Name() string    { return t.name }
func (t thing) Summary() string { return t.summary }

func TestNames(t *testing.T) {
	all := []thing{{"a", "first"}, {"b", "second"}}
	if diff := cmp.Diff([]string{"a", "b"}, Names(all)); diff != "" {
		t.Error(diff)
	}
	if got := Find(all, "b"); got != &all[1] {
		t.Errorf("b is %v", got)
	}
	if got := Find(all, "c"); got != nil {
		t.Errorf("c is %v", got)
	}
	if a, c := Summary(all, "a"), Summary(all, "c"); a != "first" || c != "" {
		t.Errorf("%q, %q", a, c)
	}
}

func TestProblems(t *testing.T) {
	known := []string{"a", "b"}
	for _, c := range []struct {
		what string
		do   func(p *Problems)
		want string // empty: none
	}{
		{"names", func(p *Problems) { p.Names("thing", []string{"b", "a"}, known) }, ""},
		{"an unknown name", func(p *Problems) { p.Names("thing", []string{"c"}, known) }, `thing "c" is none of a, b`},
		{"a name twice", func(p *Problems) { p.Names("thing", []string{"a", "a"}, known) }, "thing a is given twice"},
		{"no name", func(p *Problems) { p.Names("thing", nil, known) }, "no thing"},
		{"runs", func(p *Problems) { p.Runs(1); p.Runs(1000) }, ""},
		{"no runs", func(p *Problems) { p.Runs(0) }, "0 runs is outside 1..1000"},
		{"too many runs", func(p *Problems) { p.Runs(1001) }, "1001 runs is outside 1..1000"},
		{"times", func(p *Problems) { p.Times(10*time.Millisecond, 0); p.Times(time.Hour, time.Minute) }, ""},
		{"too short", func(p *Problems) { p.Times(time.Millisecond, 0) }, "duration 1ms is outside 10ms..1h"},
		{"too long", func(p *Problems) { p.Times(time.Hour+1, 0) }, "is outside 10ms..1h"},
		{"warm-up below", func(p *Problems) { p.Times(time.Second, -1) }, "warm-up -1ns is outside 0..1m"},
		{"warm-up above", func(p *Problems) { p.Times(time.Second, time.Minute+1) }, "is outside 0..1m"},
		{"busy polling", func(p *Problems) { p.BusyPoll(time.Microsecond); p.BusyPoll(time.Millisecond) }, ""},
		{"short busy polling", func(p *Problems) { p.BusyPoll(999) }, "busy polling of 999ns is outside 1µs..1ms"},
		{"long busy polling", func(p *Problems) { p.BusyPoll(time.Second) }, "busy polling of 1s is outside 1µs..1ms"},
		{"two", func(p *Problems) { p.Addf("one %d", 1); p.Runs(0) }, "one 1\n0 runs is outside 1..1000"},
	} {
		var p Problems
		c.do(&p)
		switch err := p.Err(); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}
