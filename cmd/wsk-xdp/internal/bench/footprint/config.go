// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
)

// Config says what to measure.
type Config struct {
	// Kinds are names, see [Kinds]; those of providers are measured with each number of Queues.
	Kinds  []string
	Queues []int
	// Runs is the number of starts of each.
	Runs int
	// Settle is how long they rest before the CPU time of Idle is taken; Idle 0: it is not.
	Settle, Idle time.Duration

	// Child is the command line that starts a child; the name of the part is appended.
	Child []string
	// Progress is called for every start, from the calling goroutine. nil: not called.
	Progress func(Progress)
}

// Defaults.
const (
	DefaultSettle = time.Second
	DefaultIdle   = 5 * time.Second
)

// DefaultQueues are the numbers of queues.
func DefaultQueues() []int { return []int{1, 64} }

// Check reports everything that is wrong with a configuration.
func (c *Config) Check() error {
	var p check.Problems
	p.Names("kind", c.Kinds, Kinds())
	for i, n := range c.Queues {
		if n < 1 || n > 64 {
			p.Addf("%d queues is outside 1..64", n)
		}
		if slices.Contains(c.Queues[:i], n) {
			p.Addf("%d queues are given twice", n)
		}
	}
	if len(c.Queues) == 0 {
		p.Addf("no number of queues")
	}
	p.Runs(c.Runs)
	if c.Settle < 0 || c.Settle > time.Minute {
		p.Addf("a rest of %v before is outside 0..1m", c.Settle)
	}
	if c.Idle < 0 || c.Idle > time.Hour {
		p.Addf("idle time of %v is outside 0..1h", c.Idle)
	}
	return p.Err()
}
