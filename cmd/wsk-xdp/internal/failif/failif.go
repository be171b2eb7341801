// SPDX-License-Identifier: Apache-2.0

// Package failif reads conditions under which a measurement has failed, and holds figures to them:
// loss>0.1%,pps<0.99*rate,p99>50us.
package failif

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Kind is what a figure is.
type Kind uint8

// The kinds: packets that something happened to, counted by the sender or by the peer, packets a second, and times.
const (
	Count Kind = iota
	PeerCount
	Rate
	Time
)

var kinds = map[string]Kind{
	"loss": PeerCount, "duplicate": PeerCount, "reordered": PeerCount, "late": PeerCount, "corrupt": PeerCount,
	"failed": Count, "forfeited": Count, "slow_path": Count, "pps": Rate,
	"p50": Time, "p90": Time, "p99": Time, "p99.9": Time, "max": Time,
}

const names = "loss, duplicate, reordered, late, corrupt, failed, forfeited, slow_path, pps, p50, p90, p99, p99.9, max"

// Condition is one: that a figure is above a bound, or below.
type Condition struct {
	Text string
	Name string
	Kind Kind
	// OfRate says that the bound is a part of the rate asked for, OfAll that it is one of all packets.
	OfRate, OfAll bool

	above bool
	bound float64
}

// List are conditions of which none may hold. It implements pflag.Value.
type List []Condition

// String is the conditions as Set takes them.
func (l *List) String() string {
	words := make([]string, len(*l))
	for i, c := range *l {
		words[i] = c.Text
	}
	return strings.Join(words, ",")
}

// Type names the form in help texts.
func (l *List) Type() string { return "conditions" }

// most is how many conditions there may be.
const most = 32

// Set parses s.
func (l *List) Set(s string) error {
	words := strings.Split(s, ",")
	if len(words) > most {
		return fmt.Errorf("more than %d conditions", most)
	}
	out := make(List, len(words))
	for i, word := range words {
		var err error
		if out[i], err = parse(word); err != nil {
			return err
		}
	}
	*l = out
	return nil
}

func parse(text string) (c Condition, err error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return c, fmt.Errorf("%q is no condition: write loss>0.1%%, pps<0.99*rate or p99>50us", text)
	}
	c = Condition{Text: text, Name: strings.TrimSpace(text[:at]), above: text[at] == '>'}
	value, ok := strings.TrimSpace(text[at+1:]), false
	if c.Kind, ok = kinds[c.Name]; !ok {
		return c, fmt.Errorf("%q is no figure of a run: there are %s", c.Name, names)
	}
	switch c.Kind {
	case Count, PeerCount:
		err = c.count(value)
	case Rate:
		err = c.rate(value)
	case Time:
		var d units.Duration
		err = d.Set(value)
		c.bound = float64(d)
	}
	return c, err
}

// count reads a number of packets, or a share of all.
func (c *Condition) count(value string) error {
	var share units.Share
	if strings.HasSuffix(value, "%") {
		err := share.Set(value)
		c.OfAll, c.bound = true, float64(share)/1e6
		return err
	}
	var n units.Count
	err := n.Set(value)
	c.bound = float64(n)
	return err
}

// rate reads packets a second, or a part of the rate asked for.
func (c *Condition) rate(value string) error {
	factor, ofRate := strings.CutSuffix(value, "*rate")
	if !ofRate {
		var n units.Count
		err := n.Set(value)
		c.bound = float64(n)
		return err
	}
	part, err := strconv.ParseFloat(factor, 64)
	if err != nil || part <= 0 || part > 1 || math.IsNaN(part) {
		return fmt.Errorf("%q is no part of the rate: write 0.99*rate", value)
	}
	c.OfRate, c.bound = true, part
	return nil
}

// Figures are what a run has come to. What is not in them was not measured.
type Figures struct {
	Counts map[string]uint64
	All    uint64 // packets
	PPS    *uint64
	Rate   float64 // asked for
	Times  map[string]int64
}

// Outcome is what became of a condition, in JSON documents.
type Outcome struct {
	Condition string `json:"condition"`
	// Holds says that the measurement has failed by it; also where its figure was not measured.
	Holds  bool   `json:"holds"`
	Figure string `json:"figure"`
}

// Check holds figures to the conditions.
func (l List) Check(f Figures) []Outcome {
	out := make([]Outcome, len(l))
	for i := range l {
		out[i] = l[i].check(f)
	}
	return out
}

func (c *Condition) check(f Figures) Outcome {
	out := Outcome{Condition: c.Text, Holds: true, Figure: c.Name + " was not measured"}
	bound, value, measured := c.bound, 0.0, false
	switch c.Kind {
	case Count, PeerCount:
		n, ok := f.Counts[c.Name]
		value, measured = float64(n), ok
		if c.OfAll {
			bound *= float64(f.All)
		}
		if ok {
			out.Figure = fmt.Sprintf("%s is %s of %s", c.Name, units.Grouped(n), units.Grouped(f.All))
		}
	case Rate:
		if c.OfRate {
			bound *= f.Rate
		}
		if measured = f.PPS != nil; measured {
			value = float64(*f.PPS)
			out.Figure = c.Name + " is " + units.Grouped(*f.PPS)
		}
	case Time:
		ns, ok := f.Times[c.Name]
		if value, measured = float64(ns), ok; ok {
			out.Figure = c.Name + " is " + time.Duration(ns).String()
		}
	}
	if measured {
		out.Holds = c.above && value > bound || !c.above && value < bound
	}
	return out
}
