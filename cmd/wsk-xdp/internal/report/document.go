// SPDX-License-Identifier: Apache-2.0

package report

// Document is what a JSON document says, as far as it is shown or compared.
type Document struct {
	File   string
	Schema string
	Title  string
	// Conditions are what should be the same in two runs that are compared.
	Conditions []Fact
	Rates      []Rate
	Facts      []Fact
	// Classes are what became of the packets.
	Classes []Class
	Charts  []Chart
	Delays  []Delay
	Verdict string
	OK      bool
}

// Fact is a row of a table.
type Fact struct{ Name, Value string }

// Rate is in packets a second. Least and Most are those of several runs, 0 of a single one.
type Rate struct {
	Name             string
	PPS, Least, Most float64
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
