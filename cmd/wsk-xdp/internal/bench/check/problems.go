// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
)

// Problems collects everything that is wrong with a configuration. The zero value is ready.
type Problems struct{ errs []error }

// Addf adds one, in the form of fmt.Errorf.
func (p *Problems) Addf(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

// Err is all of them in the order in which they were found, nil if there are none.
func (p *Problems) Err() error { return errors.Join(p.errs...) }

// Names takes names of a kind, each known and given once, one at least.
func (p *Problems) Names(kind string, given, known []string) {
	for i, name := range given {
		if !slices.Contains(known, name) {
			p.Addf("%s %q is none of %s", kind, name, strings.Join(known, ", "))
		}
		if slices.Contains(given[:i], name) {
			p.Addf("%s %s is given twice", kind, name)
		}
	}
	if len(given) == 0 {
		p.Addf("no %s", kind)
	}
}

// Size takes the size of a frame with FCS that is one Ethernet frame and has room for the eight bytes that number a
// datagram.
func (p *Problems) Size(frame int) {
	if n, err := blast.PayloadOfFrame(true, frame); err != nil {
		p.Addf("size %d: %w", frame, err)
	} else if n < 8 || frame > 1518 {
		p.Addf("size %d is outside 64..1518", frame)
	}
}

// Runs takes the number of runs of each engine.
func (p *Problems) Runs(n int) {
	if n < 1 || n > 1000 {
		p.Addf("%d runs is outside 1..1000", n)
	}
}

// Times takes the recorded time of a run, and the time before it.
func (p *Problems) Times(duration, warmup time.Duration) {
	if duration < 10*time.Millisecond || duration > time.Hour {
		p.Addf("duration %v is outside 10ms..1h", duration)
	}
	if warmup < 0 || warmup > time.Minute {
		p.Addf("warm-up %v is outside 0..1m", warmup)
	}
}

// BusyPoll takes how long the driver runs at a time.
func (p *Problems) BusyPoll(d time.Duration) {
	if d < time.Microsecond || d > time.Millisecond {
		p.Addf("busy polling of %v is outside 1µs..1ms", d)
	}
}
