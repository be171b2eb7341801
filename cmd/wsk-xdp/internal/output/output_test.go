// SPDX-License-Identifier: Apache-2.0

package output

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var table Table
	table.Row("a", "long column", "c")
	table.Row("longer", "", "d")
	table.Row("x")
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "a       long column  c\nlonger               d\nx\n"
	if b.String() != want {
		t.Errorf("got\n%q, want\n%q", b.String(), want)
	}
}

func TestLive(t *testing.T) {
	var b strings.Builder
	l := NewLive(&b) // no terminal: one line each
	l.Show("first")
	l.Show("second")
	l.End()
	if b.String() != "first\nsecond\n" {
		t.Errorf("not on a terminal: %q", b.String())
	}
	b.Reset()
	l.terminal = true
	l.Show("a long line")
	l.Show("µs")
	l.End()
	if want := "\ra long line\rµs         \n"; b.String() != want {
		t.Errorf("on a terminal: %q, want %q", b.String(), want)
	}
	NewLive(nil).Show("nothing")
}
