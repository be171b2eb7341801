// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// The size of a drawing, and the margins around its field, in the units of its view box.
const (
	width, height = 720.0, 240.0
	left, right   = 96.0, 16.0
	top, bottom   = 12.0, 28.0
	rowHeight     = 26.0
	labelWidth    = 220.0
)

// drawing collects the elements of an SVG.
type drawing struct{ strings.Builder }

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(&d.Builder, format+"\n", args...) }

func (d *drawing) text(class string, x, y float64, text string) {
	d.add(`<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x, y, html.EscapeString(text))
}

func (d *drawing) done(h float64, says string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, h, html.EscapeString(says)) +
		"\n" + d.String() + "</svg>")
}

// format writes a value of a unit.
func (u Unit) format(v float64) string {
	switch u {
	case PacketsPerSecond:
		return units.PacketRate(v)
	case Nanoseconds:
		return units.Nanoseconds(int64(v))
	}
	return units.Grouped(uint64(v))
}

// SVG draws the lines over time, from 0 on both axes.
func (c Chart) SVG() template.HTML {
	var most, last float64
	for _, l := range c.Lines {
		for _, p := range l.Points {
			most, last = max(most, p.Value), max(last, p.Seconds)
		}
	}
	step := niceStep(most / 4)
	if c.Unit == Packets {
		step = max(step, 1) // there are no parts of a packet
	}
	most = max(step*math.Ceil(most/step), step)
	x := func(seconds float64) float64 { return left + (width-left-right)*seconds/max(last, 1e-9) }
	y := func(v float64) float64 { return height - bottom - (height-top-bottom)*v/most }
	d := &drawing{}
	for v := 0.0; v <= most*1.001; v += step {
		d.add(`<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, left, y(v), width-right, y(v))
		d.text("value", left-8, y(v)+4, c.Unit.format(v))
	}
	every := niceStep(last / 8)
	for s := 0.0; s <= last*1.001; s += every {
		d.text("second", x(s), height-8, fmt.Sprintf("%.4gs", s))
	}
	for i, l := range c.Lines {
		var path strings.Builder
		for _, p := range l.Points {
			fmt.Fprintf(&path, "%.1f,%.1f ", x(p.Seconds), y(p.Value))
		}
		d.add(`<polyline class="line c%d" points="%s"/>`, i+1, strings.TrimSpace(path.String()))
		if len(l.Points) > maxMarks {
			continue
		}
		for _, p := range l.Points {
			d.add(`<circle class="mark c%d" cx="%.1f" cy="%.1f" r="3"><title>%s at %.1fs: %s</title></circle>`, i+1, x(p.Seconds), y(p.Value),
				html.EscapeString(l.Name), p.Seconds, html.EscapeString(c.Unit.format(p.Value)))
		}
	}
	return d.done(height, c.Title)
}

// maxMarks is how many points of a line have marks; more of them would hide it.
const maxMarks = 120

// niceStep is the next of 1, 2 and 5 times a power of ten.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	scale := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if n*scale >= v*0.999 {
			return n * scale
		}
	}
	return 10 * scale
}

// SVG draws percentiles as bars on a logarithmic axis.
func (d Delay) SVG() template.HTML {
	low, high := int64(math.MaxInt64), int64(1)
	for _, p := range d.Values {
		low, high = min(low, max(p.NS, 1)), max(high, p.NS)
	}
	from := math.Floor(math.Log10(float64(low)))
	to := max(math.Ceil(math.Log10(float64(high))), from+1)
	field := width - left - right - 64 // room for the value behind the longest bar
	x := func(v float64) float64 { return left + field*(math.Log10(max(v, 1))-from)/(to-from) }
	h := top + rowHeight*float64(len(d.Values)) + bottom
	out := &drawing{}
	for e := from; e <= to; e++ {
		v := math.Pow(10, e)
		out.add(`<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x(v), top, x(v), h-bottom)
		out.text("second", x(v), h-8, Nanoseconds.format(v))
	}
	for i, p := range d.Values {
		y := top + rowHeight*float64(i)
		out.text("value", left-8, y+rowHeight/2+4, p.Name)
		out.bar(1, left, x(float64(p.NS)), y, p.Name+": "+Nanoseconds.format(float64(p.NS)))
		out.text("behind", x(float64(p.NS))+6, y+rowHeight/2+4, Nanoseconds.format(float64(p.NS)))
	}
	return out.done(h, d.Title)
}

// bar draws one with what a pointer on it is told.
func (d *drawing) bar(colour int, from, to, y float64, says string) {
	d.add(`<rect class="bar c%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`, colour, from, y+4, max(to-from, 1),
		rowHeight-8, html.EscapeString(says))
}

// bars is a bar for each of several figures, from 0.
func bars(title string, names []string, values []float64, bad []bool, said func(int) string) template.HTML {
	most := 1.0
	for _, v := range values {
		most = max(most, v)
	}
	field := width - labelWidth - right - 200
	out := &drawing{}
	for i, name := range names {
		y, colour := top+rowHeight*float64(i), 1
		if bad[i] {
			colour = 4
		}
		to := labelWidth + field*values[i]/most
		out.text("value", labelWidth-8, y+rowHeight/2+4, name)
		if values[i] > 0 {
			out.bar(colour, labelWidth, to, y, name+": "+said(i))
		}
		out.text("behind", to+6, y+rowHeight/2+4, said(i))
	}
	return out.done(top+rowHeight*float64(len(names))+top, title)
}

// ClassBars draws what became of the packets.
func (d *Document) ClassBars() template.HTML {
	var names []string
	var values []float64
	var bad []bool
	for _, c := range d.Classes {
		names, values, bad = append(names, c.Name), append(values, float64(c.Packets)), append(bad, c.Bad)
	}
	return bars("What became of the packets", names, values, bad, func(i int) string { return units.Grouped(d.Classes[i].Packets) })
}

// RateBars draws the rates, TimeBars the times that are compared.
func (d *Document) RateBars() template.HTML { return d.figures("Rates", false) }

// TimeBars is described at RateBars.
func (d *Document) TimeBars() template.HTML { return d.figures("Times", true) }

// HasRates and HasTimes are whether there are any.
func (d *Document) HasRates() bool { return d.has(false) }

// HasTimes is described at HasRates.
func (d *Document) HasTimes() bool { return d.has(true) }

func (d *Document) has(times bool) bool {
	for _, r := range d.Rates {
		if r.Time == times {
			return true
		}
	}
	return false
}

func (d *Document) figures(title string, times bool) template.HTML {
	var names []string
	var values []float64
	var list []Rate
	for _, r := range d.Rates {
		if r.Time == times {
			list, names, values = append(list, r), append(names, r.Name), append(values, r.PPS)
		}
	}
	return bars(title, names, values, make([]bool, len(names)), func(i int) string {
		r := list[i]
		switch {
		case r.Most == 0:
			return r.unit().format(r.PPS)
		case r.Time:
			return fmt.Sprintf("%s (%s–%s)", r.unit().format(r.PPS), r.unit().format(r.Least), r.unit().format(r.Most))
		}
		return fmt.Sprintf("%s (%.0f–%.0f k)", units.PacketRate(r.PPS), r.Least/1e3, r.Most/1e3)
	})
}

// SVG draws a histogram, a row for each step.
func (h Histogram) SVG() template.HTML {
	names, values := make([]string, len(h.Bars)), make([]float64, len(h.Bars))
	for i, b := range h.Bars {
		names[i] = Nanoseconds.format(float64(b.From)) + " – " + Nanoseconds.format(float64(b.To))
		values[i] = float64(b.N)
	}
	return bars(h.Title, names, values, make([]bool, len(names)), func(i int) string { return units.Grouped(h.Bars[i].N) })
}
