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
	speed         units.Factor
	rate          units.Rate
	pps           units.Rate
	bps           string
	layer         units.Layer
	loop          units.Count
	limit         units.Count
	ether         etherFlags
	skip          bool
	assumeNoIPsec bool
	out           formatFlags

	name   string
	pacing string
	given  func(flag string) bool
}

func (f *replayFlags) add(a *app, fl *pflag.FlagSet) {
	fl.SortFlags = false
	fl.StringVarP(&f.iface, "interface", "i", "", "leave through this interface (default: the only one)")
	fl.BoolVar(&f.original, "original", false, "at the times at which the frames were captured (default)")
	fl.Var(&f.speed, "speed", "at these times, so many times as fast: 2, 0.5")
	fl.BoolVar(&f.topSpeed, "topspeed", false, "as fast as the interface takes them")
	fl.VarP(&f.rate, "rate", "r", "frames or bits a second, a share of the link, or max: 250k, 0.5, 10Gbit, 5%")
	fl.Var(&f.pps, "pps", "frames a second: 250k")
	fl.StringVar(&f.bps, "bps", "", "bits a `second`: 2.5G")
	fl.Var(&f.layer, "rate-layer", "what bits count: preamble and gap too (l1), or frames with FCS (l2)")
	fl.Var(&f.loop, "loop", "send the file so often, 0: until stopped")
	fl.Var(&f.limit, "limit", "end after so many frames: 250k, 10M (default: no limit)")
	fl.StringVar(&f.ether.srcMAC, "src-mac", "", "write this `MAC` over the source of every frame")
	fl.StringVar(&f.ether.dstMAC, "dst-mac", "", "write this `MAC` over the destination of every frame")
	fl.BoolVar(&f.skip, "skip", false, "leave out and count what can't be sent, instead of refusing the file")
	fl.BoolVar(&f.assumeNoIPsec, "assume-no-ipsec", false, "the host has no IPsec policies, which this user may not read (CAP_NET_ADMIN)")
	fl.BoolVar(&f.out.force, "force", false, "past IPsec policies, and more than 100k frames a second even where others suffer; overwrite a file")
	f.out.add(a, fl, replay.Schema)
	for _, name := range []string{"rate", "pps", "speed"} {
		fl.Lookup(name).DefValue = ""
	}
	fl.Lookup("limit").DefValue = "0"
}

// check refuses what is wrong without looking at the file.
func (f *replayFlags) check() error {
	if err := f.out.check(); err != nil {
		return err
	}
	if err := f.oneRate(); err != nil {
		return err
	}
	f.pacing = replay.PacingOriginal
	ways := 0
	for _, way := range []struct {
		chosen bool
		pacing string
	}{
		{f.original || f.given("speed"), replay.PacingOriginal}, {f.topSpeed || f.rated() && f.rate.IsMax(), replay.PacingTopSpeed},
		{f.rated() && !f.rate.IsMax(), replay.PacingRate},
	} {
		if way.chosen {
			f.pacing = way.pacing
			ways++
		}
	}
	switch {
	case ways > 1:
		return exit.Usagef("--original or --speed, --topspeed, and --rate say the same: give one")
	case f.given("limit") && f.limit == 0:
		return exit.Usagef("--limit 0 sends nothing: leave it out for no limit")
	case f.layer == units.LayerPayload:
		return exit.Usagef("--rate-layer payload: frames of a file may have none, give l1 or l2")
	}
	return f.ether.parse()
}

// rated is whether a rate was given.
func (f *replayFlags) rated() bool { return f.given("rate") || f.given("pps") || f.given("bps") }

// oneRate makes --pps and --bps the rate.
func (f *replayFlags) oneRate() error {
	given := 0
	for _, name := range []string{"rate", "pps", "bps"} {
		if f.given(name) {
			given++
		}
	}
	switch {
	case given > 1:
		return exit.Usagef("--rate, --pps and --bps say the same: give one")
	case f.given("pps"):
		if _, ok := f.pps.InPackets(); !ok {
			return exit.Usagef("--pps %v: give so many frames a second, as in 250k", f.pps)
		}
		f.rate = f.pps
	case f.given("bps"):
		err := f.rate.Set(f.bps)
		if _, ok := f.rate.InPackets(); ok && err == nil {
			err = f.rate.Set(f.bps + "bit") // a number without a unit is of bits here
		}
		if err != nil {
			return exit.Usagef("--bps: %w", err)
		}
		if f.rate.IsMax() || f.rate.IsShare() {
			return exit.Usagef("--bps %s: give so many bits a second, as in 2.5G", f.bps)
		}
	}
	return nil
}
