// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
)

// live shows intervals from a goroutine of its own, so that a slow terminal does not hold up the sender.
type live struct {
	intervals chan shown
	done      chan struct{}
}

type shown struct {
	i       blast.Interval
	arrived string
}

// startLive shows intervals on w, nil for nowhere.
func startLive(w io.Writer, mix blast.Mix, engine string) *live {
	l := &live{intervals: make(chan shown, 16), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		line := output.NewLive(w)
		for i := range l.intervals {
			line.Show(blast.Line(i.i, mix, i.arrived, engine))
		}
		line.End()
	}()
	return l
}

// interval shows an interval and what the peer says, or drops it when the terminal does not keep up.
func (l *live) interval(i blast.Interval, arrived string) {
	select {
	case l.intervals <- shown{i, arrived}:
	default:
	}
}

// stop waits until everything is shown.
func (l *live) stop() {
	close(l.intervals)
	<-l.done
}
