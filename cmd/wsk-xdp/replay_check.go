// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// replayFlags are the command line of replay.
type replayFlags struct {
	iface         string
	original      bool
	topSpeed      bool
	rate          units.Rate
	layer         units.Layer
	loop          units.Count
	limit         units.Count
	ether         etherFlags
	skip          bool
	assumeNoIPsec bool
	force         bool
	quiet, json   bool

	name   string
	pacing string
	given  func(flag string) bool
}

func (f *replayFlags) add(fl *pflag.FlagSet) {
	fl.SortFlags = false
	fl.StringVarP(&f.iface, "interface", "i", "", "leave through this interface (default: the only one)")
	fl.BoolVar(&f.original, "original", false, "at the times at which the frames were captured (default)")
	fl.BoolVar(&f.topSpeed, "topspeed", false, "as fast as the interface takes them")
	fl.VarP(&f.rate, "rate", "r", "frames or bits a second, a share of the link, or max: 250k, 0.5, 10Gbit, 5%")
	fl.Var(&f.layer, "rate-layer", "what bits count: preamble and gap too (l1), or frames with FCS (l2)")
	fl.Var(&f.loop, "loop", "send the file so often, 0: until stopped")
	fl.Var(&f.limit, "limit", "end after so many frames: 250k, 10M (default: no limit)")
	fl.StringVar(&f.ether.srcMAC, "src-mac", "", "write this `MAC` over the source of every frame")
	fl.StringVar(&f.ether.dstMAC, "dst-mac", "", "write this `MAC` over the destination of every frame")
	fl.BoolVar(&f.skip, "skip", false, "leave out and count what can't be sent, instead of refusing the file")
	fl.BoolVar(&f.assumeNoIPsec, "assume-no-ipsec", false, "the host has no IPsec policies, which this user may not read (CAP_NET_ADMIN)")
	fl.BoolVar(&f.force, "force", false, "past IPsec policies, and more than 100k frames a second even where others suffer: ssh session, groups")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no live line")
	fl.BoolVar(&f.json, "json", false, "one JSON document (wsk-xdp.replay/1) instead of the table")
	fl.Lookup("rate").DefValue = ""
	fl.Lookup("limit").DefValue = "0"
}

// check refuses what is wrong without looking at the file.
func (f *replayFlags) check() error {
	f.pacing = replay.PacingOriginal
	ways := 0
	for _, way := range []struct {
		chosen bool
		pacing string
	}{
		{f.original, replay.PacingOriginal}, {f.topSpeed || f.given("rate") && f.rate.IsMax(), replay.PacingTopSpeed},
		{f.given("rate") && !f.rate.IsMax(), replay.PacingRate},
	} {
		if way.chosen {
			f.pacing = way.pacing
			ways++
		}
	}
	switch {
	case ways > 1:
		return exit.Usagef("--original, --topspeed and --rate say the same: give one")
	case f.given("limit") && f.limit == 0:
		return exit.Usagef("--limit 0 sends nothing: leave it out for no limit")
	case f.layer == units.LayerPayload:
		return exit.Usagef("--rate-layer payload: frames of a file may have none, give l1 or l2")
	}
	return f.ether.parse()
}
