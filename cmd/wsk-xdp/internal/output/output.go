// SPDX-License-Identifier: Apache-2.0

package output

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/term"
)

// JSON writes one document, indented, with a newline behind it, in UTF-8 whatever the locale.
func JSON(w io.Writer, document any) error {
	e := json.NewEncoder(Raw(w))
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// Table collects rows and writes them in columns.
type Table struct{ rows [][]string }

// Row adds a row.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table, two blanks between columns and no blanks at the ends of lines.
func (t *Table) Write(w io.Writer) error {
	var text strings.Builder
	tw := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f := fileOf(w)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// Live is a line about the present state: rewritten in place on a terminal, one line after another elsewhere and where TERM is dumb. It is for
// one goroutine. The zero value writes nothing.
type Live struct {
	w        io.Writer
	terminal bool
	width    int // of what is on the line now
}

// NewLive writes to w; a nil w gives a Live that writes nothing.
func NewLive(w io.Writer) *Live {
	return &Live{w: w, terminal: w != nil && IsTerminal(w) && os.Getenv("TERM") != "dumb"}
}

// Show replaces the line.
func (l *Live) Show(line string) {
	if l.w == nil {
		return
	}
	if !l.terminal {
		fmt.Fprintln(l.w, line)
		return
	}
	// What wraps can't be replaced. The last column stays free: where a cursor goes behind it is up to the terminal.
	room := columns(l.w) - 1
	line = fitting(line, room)
	width := utf8.RuneCountInString(line)
	fmt.Fprintf(l.w, "\r%s%s", line, strings.Repeat(" ", max(min(l.width, room)-width, 0)))
	l.width = width
}

// fitting is as many of the fields of a line, which have two blanks between them, as there is room for: no number loses digits. The first
// field is cut where it does not fit by itself.
func fitting(line string, room int) string {
	for utf8.RuneCountInString(line) > room {
		end := strings.LastIndex(line, "  ")
		if end <= 1 { // "[  1.0s]"
			return string([]rune(line)[:room])
		}
		line = strings.TrimRight(line[:end], " ")
	}
	return line
}

// columns is how wide a terminal is, very much where that is not known.
func columns(w io.Writer) int {
	if f := fileOf(w); f != nil {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 1 {
			return n
		}
	}
	return math.MaxInt
}

// End leaves the line as it is and goes to the next one.
func (l *Live) End() {
	if l.w != nil && l.terminal && l.width > 0 {
		fmt.Fprintln(l.w)
	}
	l.width = 0
}
