// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/preview"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// capture writes the file of --pcap before the run.
func (f *blastFlags) capture(ctx context.Context, h header, s *session.Session, body []byte, run uint16, bound []netip.AddrPort) error {
	if f.look.file == "" {
		return nil
	}
	clock, err := stamp.NewClock()
	if err != nil {
		return err
	}
	if _, err := f.macUnasked(ctx, s); err != nil {
		return err
	}
	plan, err := f.preview(h, s, body, run, clock, bound)
	if err != nil {
		return err
	}
	_, err = f.look.write(ctx, plan, f.config().After(), blast.Requested(f.config()), time.Now(), f.out.live())
	return err
}

// macUnasked finds the MAC of the next hop without asking for it; unknown is whether there is none.
func (f *blastFlags) macUnasked(ctx context.Context, s *session.Session) (unknown bool, err error) {
	switch {
	case f.ether.dstMAC != "":
	case s.Way.MAC != nil:
		f.ether.dst, _ = frame.MACFromSlice(s.Way.MAC)
	case s.Way.IsCast() && s.Way.SlowReason == "":
		return false, f.ether.find(ctx, s) // it follows from the address
	default:
		return s.Way.NeighbourNeeded, nil
	}
	return false, nil
}

// preview is what the first packets are made of. bound are the addresses of sockets.
func (f *blastFlags) preview(h header, s *session.Session, body []byte, run uint16, clock stamp.Clock, bound []netip.AddrPort) (preview.Plan, error) {
	if f.engine.prepared() {
		plan, err := f.plan(h, s, body, run)
		plan.Clock = clock
		return preview.Plan{Plan: plan}, err
	}
	return preview.Plan{
		Plan: frames.Plan{
			Space: f.flows.space, Flows: uint64(f.flows.n), Random: f.flows.order == randomOrder,
			Header:  frame.Flow{SrcMAC: f.ether.from(s), DstMAC: f.ether.dst, VLANs: f.ether.tags(s), TTL: f.hops(s), TOS: h.tos, DF: f.way.df},
			Payload: body, Sizes: f.sizes, Stamp: f.stamp, Run: run, Clock: clock,
		},
		Datagrams: true, Batch: f.batch, MTU: s.Way.MTU, Bound: bound,
	}, nil
}
