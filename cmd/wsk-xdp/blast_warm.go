// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// warms is whether something is sent before the run.
func (f *blastFlags) warms() bool { return f.timing.warmup > 0 }

// warmConfig is how.
func (f *blastFlags) warmConfig(c blast.Config) blast.Config {
	c.Duration, c.Count, c.OnInterval = time.Duration(f.timing.warmup), 0, nil
	if len(c.Steps) > 0 {
		c.Rate, c.Steps = c.Steps[0].Rate, nil
	}
	return c
}

// warmBody is the payload of what is sent before a run: no receiver takes it for a packet of that.
func (f *blastFlags) warmBody(body []byte, run uint16) []byte {
	if f.stamp != blast.StampWSK {
		return body
	}
	body = append([]byte(nil), body...)
	stamp.PutWarmup(body, run)
	return body
}

// warm sends before the run, and says so. The peer, if there is one, is looked for before that.
func (a *app) warm(ctx context.Context, f *blastFlags, c blast.Config, send func(context.Context, blast.Config) (blast.Result, error)) (*blast.WarmupReport, error) {
	a.note(fmt.Sprintf("  warm-up of %v: what is sent now is not counted", time.Duration(f.timing.warmup)))
	res, err := f.timing.pinned(f.engine, func() (blast.Result, error) { return send(ctx, f.warmConfig(c)) })
	if err == nil && res.Unfinished > 0 {
		err = fmt.Errorf("%d sends of the warm-up did not come back, so that nothing could be measured behind it", res.Unfinished)
	}
	return &blast.WarmupReport{
		Duration: time.Duration(f.timing.warmup).Nanoseconds(), Submitted: res.Submitted, Completed: res.Completed, Failed: res.Failed,
	}, err
}

// warmWSK sends what is to be sent before the run, nothing where there is no such.
func (a *app) warmWSK(
	ctx context.Context, f *blastFlags, h header, s *session.Session, ns *netns.NS, c blast.Config, body []byte, run uint16,
) (*blast.WarmupReport, error) {
	if !f.warms() {
		return nil, nil
	}
	if err := f.lookForPeer(ctx, h, s, ns); err != nil {
		return nil, err
	}
	d, err := f.datagrams(h, s, f.warmBody(body, run), run)
	if err != nil {
		return nil, err
	}
	d.Stamp = blast.StampNone
	warmed, err := a.warm(ctx, f, c, func(ctx context.Context, c blast.Config) (blast.Result, error) {
		return blast.Run(ctx, c, blast.NewMixSender(d, f.batch))
	})
	if err == nil {
		s.BeginRun(ctx)
	}
	return warmed, err
}
