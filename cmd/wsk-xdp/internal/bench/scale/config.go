// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
)

// Config says what to measure.
type Config struct {
	// Engines are names, see [Names].
	Engines []string
	// Families are IP versions, 4 and 6.
	Families []int
	// Destinations, Sockets, Changes (of routes, a second) and Routes are measured one after the other: the others stay at
	// their first, and Destinations at Beside. With Every all combinations are.
	Destinations, Sockets, Changes, Routes []int
	Beside                                 int
	Every                                  bool
	// Runs is the number of runs of each engine at each point.
	Runs int
	// Duration is how long the counted window is open, Warmup the time before it.
	Duration, Warmup time.Duration

	// Child is the command line that starts a child; the name of the part is appended.
	Child []string
	// Progress is called for every run, from the calling goroutine. nil: not called.
	Progress func(Progress)
}

// Progress is a run that has just ended.
type Progress struct {
	Point
	Engine string
	Round  int
	PPS    float64
	Err    error
}

// Defaults.
const (
	DefaultRuns     = 3
	DefaultDuration = 500 * time.Millisecond
	DefaultWarmup   = 500 * time.Millisecond
	DefaultBeside   = 1000
)

// DefaultDestinations, and the others, are the points.
func DefaultDestinations() []int { return []int{1, 1000, 10_000, 1_000_000} }

// DefaultSockets are numbers of sockets.
func DefaultSockets() []int { return []int{1, 100, 10_000} }

// DefaultChanges are changes of routes a second.
func DefaultChanges() []int { return []int{0, 10, 100} }

// DefaultRoutes are sizes of the table.
func DefaultRoutes() []int { return []int{1, 1_000_000} }

// points lists what is measured; the first of each family is what its others are compared with.
func (c *Config) points() (all []Point) {
	add := func(p Point) {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	for _, family := range c.Families {
		first := Point{family, c.Destinations[0], c.Sockets[0], c.Changes[0], c.Routes[0]}
		if c.Every {
			c.combine(family, add)
			continue
		}
		for _, n := range c.Destinations {
			p := first
			p.Destinations = n
			add(p)
		}
		axes := []struct {
			values []int
			set    func(*Point, int)
		}{
			{c.Sockets, func(p *Point, n int) { p.Sockets = n }},
			{c.Changes, func(p *Point, n int) { p.Changes = n }},
			{c.Routes, func(p *Point, n int) { p.Routes = n }},
		}
		for _, axis := range axes {
			for _, n := range axis.values[1:] {
				p := first
				p.Destinations = c.Beside
				axis.set(&p, n)
				add(p)
			}
		}
	}
	return all
}

func (c *Config) combine(family int, add func(Point)) {
	for _, destinations := range c.Destinations {
		for _, sockets := range c.Sockets {
			for _, changes := range c.Changes {
				for _, routes := range c.Routes {
					add(Point{family, destinations, sockets, changes, routes})
				}
			}
		}
	}
}

// Limits.
const (
	maxDestinations = 1 << numberBits
	maxSockets      = 20_000
	maxChanges      = 1000
	maxPoints       = 500
)

// Check reports everything that is wrong with a configuration.
func (c *Config) Check() error {
	var p check.Problems
	p.Names("engine", c.Engines, Names())
	for i, f := range c.Families {
		if f != 4 && f != 6 || slices.Contains(c.Families[:i], f) {
			p.Addf("IP version %d is not 4 or 6, each once", f)
		}
	}
	if len(c.Families) == 0 {
		p.Addf("no IP version")
	}
	within(&p, "destinations", c.Destinations, 1, maxDestinations)
	within(&p, "destinations beside", []int{c.Beside}, 1, maxDestinations)
	within(&p, "sockets", c.Sockets, 1, maxSockets)
	within(&p, "changes a second", c.Changes, 0, maxChanges)
	within(&p, "routes", c.Routes, 1, maxDestinations)
	p.Runs(c.Runs)
	p.Times(c.Duration, c.Warmup)
	if err := p.Err(); err != nil {
		return err
	}
	if n := len(c.points()); n > maxPoints {
		p.Addf("%d points are more than %d", n, maxPoints)
	}
	return p.Err()
}

func within(p *check.Problems, what string, values []int, least, most int) {
	for i, n := range values {
		if n < least || n > most {
			p.Addf("%d %s is outside %d..%d", n, what, least, most)
		}
		if slices.Contains(values[:i], n) {
			p.Addf("%d %s is given twice", n, what)
		}
	}
	if len(values) == 0 {
		p.Addf("no number of %s", what)
	}
}
