// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	var b strings.Builder
	tables := Tables{W: &b}
	tables.Begin("first", "a", "b")
	tables.Row("1", "22")
	tables.Begin("second", "c")
	if err := tables.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "first\na  b\n1  22\n\nsecond\nc\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	if err := (&Tables{W: &b}).Flush(); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
}

type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errors.New("full")
	}
	return len(b), nil
}

// The first error is kept, wherever it comes, and ends the writing.
func TestTablesTellTheFirstError(t *testing.T) {
	for left := range 5 {
		w := &full{left}
		tables := Tables{W: w}
		tables.Begin("first", "a")
		tables.Begin("second", "b")
		if err := tables.Flush(); err == nil || w.left != -1 {
			t.Errorf("after %d writes: %v, %d writes more", left, err, -1-w.left)
		}
	}
}
