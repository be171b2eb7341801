// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// What verbs that send frames of their own have in common: the queue, and the rate in packets.

// openQueue opens the AF_XDP socket of queue 0 in copy mode, for the frames of a source.
func openQueue(s *session.Session, ns *netns.NS, source frames.Source) (q *xdp.Socket, err error) {
	largest, err := source.Largest()
	if err != nil {
		return nil, err
	}
	o := xdp.Options{Ifname: s.Way.DeviceName(), Mode: xdp.ModeCopy, ChunkSize: 2048}
	if largest > int(o.ChunkSize) {
		o.ChunkSize = 4096
	}
	err = ns.Do(func() error {
		q, err = xdp.Open(o)
		return err
	})
	if err != nil {
		return nil, exit.NotPossiblef("engine frames: %w", s.QueueError(err))
	}
	return q, nil
}

// queueInfo is what the queue has done, in the form in which a datapath says it.
func queueInfo(s *session.Session, q xdp.Queue, n blast.Counts) datapath.Info {
	return datapath.Info{Queues: []datapath.QueueInfo{{
		Interface: s.Way.DeviceName(), Queue: 0, State: "up", Granted: q.Granted(), Counters: q.Counters(),
		Submitted: n.Submitted, Completed: n.Completed + n.Failed, Dropped: n.Failed,
	}}}
}

// paceOf turns a rate into packets, which are on the wire as in mix.
func paceOf(rate units.Rate, layer units.Layer, mix blast.Mix, s *session.Session) (pace blast.Rate, err error) {
	speed := uint64(0)
	if rate.IsShare() {
		if speed, err = s.LinkSpeed(); err != nil {
			return 0, exit.Usagef("--rate %v of the link's speed: %w: give packets or bits a second", rate, err)
		}
	}
	micro, err := rate.Packets(mix.Load(layer), speed)
	if err != nil {
		return 0, exit.Usagef("--rate %w", err)
	}
	return blast.Rate(micro), nil
}
