// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// pingLoad is the load of a run of ping, nil where there is none.
type pingLoad struct {
	load ping.Load
	end  context.CancelFunc
	done chan ping.LoadResult
}

// loadRun is the number of the load's run.
func loadRun(pings uint16) uint16 { return pings + 1 }

// openLoad opens the load beside the pings.
func (f *pingFlags) openLoad(link pinger, run uint16, body []byte, clock stamp.Clock) (*pingLoad, error) {
	if !f.loaded() {
		return nil, nil
	}
	load, err := link.load(loadRun(run), body, clock)
	if err != nil {
		return nil, err
	}
	return &pingLoad{load: load}, nil
}

// start begins to send.
func (l *pingLoad) start(ctx context.Context) {
	if l == nil {
		return
	}
	ctx, l.end = context.WithCancel(ctx)
	l.done = make(chan ping.LoadResult, 1)
	go func() { l.done <- l.load.Run(ctx) }()
}

// stop ends the load, and enters what it did.
func (l *pingLoad) stop(r *ping.LoadReport) error {
	if l == nil {
		return nil
	}
	l.end()
	r.Fill(<-l.done)
	if w, ok := l.load.(*ping.WSKLoad); ok {
		return w.Err
	}
	return nil
}

// close gives back what the load has opened for itself.
func (l *pingLoad) close() error {
	if l == nil {
		return nil
	}
	if c, ok := l.load.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
