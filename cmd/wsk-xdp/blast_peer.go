// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// blastPeer is the receiver of a run, nil where nobody is asked.
type blastPeer struct {
	client *peer.Client
	shown  peer.Interval
	text   string // of the live line
}

// dialPeer announces the run, before anything is sent.
func (f *blastFlags) dialPeer(ctx context.Context, h header, s *session.Session, ns *netns.NS, run uint16, body []byte) (*blastPeer, error) {
	if !f.peer || ctx.Err() != nil { // interrupted while it warmed up: there is no run to announce
		return nil, nil
	}
	if s.Way.IsCast() {
		return nil, exit.Usagef("--peer asks one receiver, and %v is a group", h.to.Addr())
	}
	client, err := peer.Dial(ctx, ns, netip.AddrPortFrom(s.Way.Destination, h.to.Port()), peer.Hello{
		Version: host.ReadBuild().Version, Run: run, Clock: stamp.Identity(), Payload: body[stamp.Size:],
		Smallest: slices.Min(f.sizes), Largest: len(body),
	})
	if err != nil {
		return nil, exit.NotPossiblef("--peer: %w", err)
	}
	return &blastPeer{client: client}, nil
}

// lookForPeer is an error where there is to be a peer and none answers.
func (f *blastFlags) lookForPeer(ctx context.Context, h header, s *session.Session, ns *netns.NS) error {
	if !f.peer || s.Way.IsCast() {
		return nil // or dialPeer says what is wrong
	}
	if err := peer.Look(ctx, ns, netip.AddrPortFrom(s.Way.Destination, h.to.Port())); err != nil {
		return exit.NotPossiblef("--peer: %w", err)
	}
	return nil
}

// line is the peer's line of the start block.
func (p *blastPeer) line() string {
	clock := "clock not shared"
	if p.client.Welcome.ClockShared {
		clock = "clock shared"
	}
	return fmt.Sprintf("  peer wsk-xdp %s, engine %s, %s", p.client.Welcome.Version, p.client.Welcome.Engine, clock)
}

// arrived is what the peer has to say in the live line.
func (p *blastPeer) arrived() string {
	if p == nil {
		return ""
	}
	if now := p.client.Latest(); now != p.shown {
		p.shown, p.text = now, blast.Arrived(p.shown, now)
	}
	return p.text
}

// afterInterrupt is how long a report is waited for that was asked for after an interrupt.
const afterInterrupt = 2 * time.Second

// report ends the run at the peer, and enters what it says. A peer that is gone costs its part of the report, and no more.
func (p *blastPeer) report(ctx context.Context, r *blast.Report, sent []uint64) {
	if p == nil {
		return
	}
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterInterrupt)
		defer cancel()
		ctx = late
	}
	said, err := p.client.End(ctx, sent)
	if err != nil {
		r.PeerError = err.Error()
		return
	}
	r.Joint(said)
}

// close ends the connection, if there is one.
func (p *blastPeer) close() {
	if p != nil {
		p.client.Close() // the report has been read, or is missing
	}
}
