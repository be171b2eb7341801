// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"io"
)

// Tables writes several tables, each below a line that says what it is about, with an empty line between. The zero
// value with W set is ready; call Flush behind the last row.
type Tables struct {
	W     io.Writer
	table *Table
	err   error
}

// Begin ends the table before, and begins one below a title.
func (t *Tables) Begin(title string, header ...string) {
	begun := t.table != nil
	t.flush()
	if begun && t.err == nil {
		_, t.err = fmt.Fprintln(t.W)
	}
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.W, title)
	}
	t.table = new(Table)
	t.table.Row(header...)
}

// Row adds a row to the table that was begun last.
func (t *Tables) Row(cells ...string) { t.table.Row(cells...) }

// Flush writes what is left, and returns the first error of all.
func (t *Tables) Flush() error {
	t.flush()
	t.table = nil
	return t.err
}

func (t *Tables) flush() {
	if t.table != nil && t.err == nil {
		t.err = t.table.Write(t.W)
	}
}
