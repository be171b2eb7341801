// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
)

// WriteCSV writes everything that documents say, a figure in each row: the file, the kind of figure, its name, where it stands
// (the end of an interval in seconds, a percentile, or the step of a histogram from and to in nanoseconds), and the value.
// Rates are in packets a second, times in nanoseconds, all else counts packets; of a condition and a fact the value is text.
func WriteCSV(w io.Writer, all []*Document) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"file", "kind", "name", "at", "value"}) // Flush tells
	for _, d := range all {
		row := func(kind, name, at, value string) { _ = out.Write([]string{d.File, kind, name, at, value}) }
		number := func(v float64) string { return strconv.FormatFloat(math.Round(v*1e3)/1e3, 'f', -1, 64) }
		if d.Note != "" {
			row("note", "", "", d.Note)
		}
		for _, f := range d.Conditions {
			row("condition", f.Name, "", f.Value)
		}
		for _, f := range d.Facts {
			row("fact", f.Name, "", f.Value)
		}
		for _, c := range d.Classes {
			row("packets", c.Name, "", strconv.FormatUint(c.Packets, 10))
		}
		for _, r := range d.Rates {
			kind := "rate"
			if r.Time {
				kind = "time"
			}
			row(kind, r.Name, "", number(r.PPS))
			if r.Most > 0 {
				row(kind, r.Name, "least", number(r.Least))
				row(kind, r.Name, "most", number(r.Most))
			}
		}
		for _, one := range d.Delays {
			for _, p := range one.Values {
				row("percentile", one.Title, p.Name, strconv.FormatInt(p.NS, 10))
			}
		}
		for _, c := range d.Charts {
			for _, l := range c.Lines {
				for _, p := range l.Points {
					row("over time", c.Title+": "+l.Name, number(p.Seconds), number(p.Value))
				}
			}
		}
		for _, h := range d.Histograms {
			for _, b := range h.Bars {
				row("histogram", h.Title, fmt.Sprintf("%d-%d", b.From, b.To), strconv.FormatUint(b.N, 10))
			}
		}
		if d.Verdict != "" {
			row("verdict", "", "", d.Verdict)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}
