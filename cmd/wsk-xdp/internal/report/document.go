// SPDX-License-Identifier: Apache-2.0

package report

// Document is what a JSON document says, as far as it is shown or compared.
type Document struct {
	File   string
	Schema string
	Title  string
	// Note is what whoever made the report has written beside it.
	Note string
	// Conditions are what should be the same in two runs that are compared.
	Conditions []Fact
	Rates      []Rate
	Facts      []Fact
	// Classes are what became of the packets.
	Classes []Class
	Charts  []Chart
	Delays  []Delay
	// Histograms are distributions in full.
	Histograms []Histogram
	Verdict    string
	OK         bool
}

// Fact is a row of a table.
type Fact struct{ Name, Value string }

// Rate is a figure that is compared: in packets a second, of which more is better, or in nanoseconds, of which less is. Least
// and Most are those of several runs, 0 of a single one.
type Rate struct {
	Name             string
	PPS, Least, Most float64
	Time             bool
}

// unit is what it is in.
func (r *Rate) unit() Unit {
	if r.Time {
		return Nanoseconds
	}
	return PacketsPerSecond
}

// Class is how many packets something became of. Bad is whether nobody wants that.
type Class struct {
	Name    string
	Packets uint64
	Bad     bool
}

// Unit is what a chart shows.
type Unit int

// Units.
const (
	PacketsPerSecond Unit = iota
	Packets
	Nanoseconds
)

// Chart is figures over time.
type Chart struct {
	Title string
	Unit  Unit
	Lines []Line
}

// Line is one figure, by seconds since the start.
type Line struct {
	Name   string
	Points []Point
}

// Point is of a Line.
type Point struct{ Seconds, Value float64 }

// Delay is a distribution as far as its percentiles tell, the smallest first.
type Delay struct {
	Title  string
	Values []Percentile
}

// Percentile is one of them, or an end.
type Percentile struct {
	Name string
	NS   int64
}

// Histogram says how many took so long, in steps each of which is twice as long as the one before it.
type Histogram struct {
	Title string
	Bars  []Bar
}

// Bar is how many took From and longer, and less than To, in nanoseconds.
type Bar struct {
	From, To int64
	N        uint64
}
