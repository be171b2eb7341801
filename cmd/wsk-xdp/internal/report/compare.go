// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"io"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Change is what became of a rate, or of a time. One that is not there any more has fallen by all of it.
type Change struct {
	Name          string
	Before, After float64
	Time          bool
	Gone          bool
}

// format writes one of its values.
func (c *Change) format(v float64) string {
	if c.Time {
		return Nanoseconds.format(v)
	}
	return PacketsPerSecond.format(v)
}

// Word says what a Fall is.
func (c *Change) Word() string {
	if c.Time {
		return "rose"
	}
	return "fell"
}

// Fall is by which share it is worse than before, negative if it is better: less of a rate, more of a time.
func (c Change) Fall() float64 {
	switch {
	case c.Gone:
		return 1
	case c.Before == 0:
		return 0
	case c.Time:
		return c.After/c.Before - 1
	}
	return 1 - c.After/c.Before
}

// Compare lists the rates of an earlier document beside those of a later one.
func Compare(before, after *Document) ([]Change, error) {
	if before.Schema != after.Schema {
		return nil, fmt.Errorf("%s is %s and %s is %s: compare reports of one kind", before.File, before.Schema, after.File, after.Schema)
	}
	if len(before.Rates) == 0 {
		return nil, fmt.Errorf("%s has no rate to compare with", before.File)
	}
	var out []Change
	for _, rate := range before.Rates {
		c := Change{Name: rate.Name, Before: rate.PPS, Time: rate.Time, Gone: true}
		for _, now := range after.Rates {
			if now.Name == rate.Name {
				c.After, c.Gone = now.PPS, false
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// Differences are the conditions that are not the same, in words.
func Differences(before, after *Document) (out []string) {
	for i, c := range before.Conditions {
		if i < len(after.Conditions) && after.Conditions[i].Value != c.Value {
			out = append(out, fmt.Sprintf("not the same: %s was %s, is %s", c.Name, orNothing(c.Value), orNothing(after.Conditions[i].Value)))
		}
	}
	return out
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// WriteChanges writes the table of a comparison.
func WriteChanges(w io.Writer, changes []Change) error {
	var t output.Table
	t.Row("rate", "before", "after", "change")
	for _, c := range changes {
		if c.Gone {
			t.Row(c.Name, c.format(c.Before), "-", "gone")
			continue
		}
		t.Row(c.Name, c.format(c.Before), c.format(c.After), fmt.Sprintf("%+.1f %%", 100*(c.After/max(c.Before, 1e-9)-1)))
	}
	return t.Write(w)
}

// WriteTables writes what documents say.
func WriteTables(w io.Writer, all []*Document) error {
	var errs []error
	for i, d := range all {
		if i > 0 {
			_, err := fmt.Fprintln(w)
			errs = append(errs, err)
		}
		var t output.Table
		for _, row := range d.rows() {
			t.Row(row.Name, row.Value)
		}
		_, err := fmt.Fprintf(w, "%s (%s)\n", d.Title, d.File)
		errs = append(errs, err, t.Write(w))
	}
	return errors.Join(errs...)
}

// rows are everything as a table.
func (d *Document) rows() (out []Fact) {
	if d.Note != "" {
		out = append(out, Fact{"note", d.Note})
	}
	out = append(out, d.Conditions...)
	out = append(out, d.Facts...)
	for _, c := range d.Classes {
		out = append(out, Fact{c.Name, units.Grouped(c.Packets)})
	}
	for _, r := range d.Rates {
		text, name := r.unit().format(r.PPS), "rate "+r.Name
		if r.Most > 0 {
			text += fmt.Sprintf(" (%s to %s)", r.unit().format(r.Least), r.unit().format(r.Most))
		}
		if r.Time {
			name = r.Name
		}
		out = append(out, Fact{name, text})
	}
	for _, delay := range d.Delays {
		text := ""
		for _, p := range delay.Values {
			text += fmt.Sprintf("%s %s  ", p.Name, units.Nanoseconds(p.NS))
		}
		out = append(out, Fact{delay.Title, text})
	}
	if d.Verdict != "" {
		out = append(out, Fact{"verdict", d.Verdict})
	}
	return out
}
