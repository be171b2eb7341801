// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
)

// figures are what one run gave.
type figures struct {
	pps           float64
	cpuNs, userNs float64 // of the sending process, per packet
	rss           uint64
	first         time.Duration
	slow, asked   float64
	changes       float64 // a second, as they were
	sent, arrived uint64
}

// contestant is an engine at a point with its runs.
type contestant struct {
	stats.Contestant[figures]
	Point
	engine string
}

func rate(f *figures) float64 { return f.pps }

// find is an engine at a point, nil where it was not measured.
func find(all []*contestant, p Point, engine string) *contestant {
	for _, who := range all {
		if who.Point == p && who.engine == engine {
			return who
		}
	}
	return nil
}

// firstOf is the point that the others of an IP version are compared with.
func firstOf(all []*contestant, version int) (p Point) {
	for _, who := range all {
		if who.IPVersion == version {
			return who.Point
		}
	}
	return p
}
