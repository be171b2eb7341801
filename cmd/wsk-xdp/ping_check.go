// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Defaults and limits of ping.
const (
	defaultPingRate    = 1000
	maxPingRate        = 1_000_000
	defaultPingTimeout = time.Second
	maxPingTimeout     = time.Minute
)

type pingFlags struct {
	way         wayFlags
	rate        units.Rate
	count       units.Count
	duration    units.Duration
	timeout     units.Duration
	underLoad   units.Rate
	size        units.Sizes
	payloadSize int
	engine      string
	out         formatFlags

	pace blast.Rate
	load blast.Rate // 0 where it is as fast as it goes, or where there is none
}

// loaded is whether there is a load besides the pings.
func (f *pingFlags) loaded() bool { return f.way.flags.Changed("under-load") }

func (f *pingFlags) check(ctx context.Context, destination string) (header, error) {
	if err := f.out.check(); err != nil {
		return header{}, err
	}
	given := f.way.flags.Changed
	if !given("duration") && !given("count") {
		f.duration = units.Duration(defaultDuration)
	}
	h, err := f.way.parse(ctx, destination)
	if err != nil {
		return h, err
	}
	micro, ok := f.rate.InPackets()
	f.pace = blast.Rate(micro)
	timeout := time.Duration(f.timeout)
	switch {
	case !ok:
		return h, exit.Usagef("--rate %v: pings go by a schedule: give so many a second, as in 1k", f.rate)
	case f.pace > blast.PPS(maxPingRate):
		return h, exit.Usagef("--rate %v is more than %s pings a second", f.rate, units.Grouped(maxPingRate))
	case given("count") && f.count == 0:
		return h, exit.Usagef("--count 0 sends nothing: leave it out for no limit")
	case timeout <= 0 || timeout > maxPingTimeout:
		return h, exit.Usagef("--timeout %v is not above 0, or more than %v", timeout, maxPingTimeout)
	case f.engine != "wsk" && f.engine != "udp":
		return h, exit.Usagef("--engine %q is neither wsk nor udp", f.engine)
	case castAt(h.to.Addr()):
		return h, exit.Usagef("%v is a group, and ping asks one host", h.to.Addr())
	case h.source.Port() == h.to.Port():
		return h, exit.Usagef("--source port %d is the destination's: an echo does not answer to its own port number", h.source.Port())
	}
	if err := f.checkLoad(h); err != nil {
		return h, err
	}
	if f.engine == "udp" {
		for _, name := range []string{"mode", "checksum", "require", "assume-no-ipsec"} {
			if given(name) {
				return h, exit.Usagef("--%s is for --engine wsk: a kernel socket leaves it to the kernel", name)
			}
		}
	}
	return h, f.choosePayload(h)
}

// checkLoad refuses loads that there can't be.
func (f *pingFlags) checkLoad(h header) error {
	if !f.loaded() {
		return nil
	}
	micro, ok := f.underLoad.InPackets()
	f.load = blast.Rate(micro)
	switch {
	case !ok && !f.underLoad.IsMax():
		return exit.Usagef("--under-load %v: give so many packets a second, as in 200k, or max", f.underLoad)
	case h.source.Port() != 0:
		return exit.Usagef("--under-load sends from a socket of its own: give --source without a port")
	}
	return nil
}

// choosePayload turns the frame size into that of the payload.
func (f *pingFlags) choosePayload(h header) error {
	given := f.way.flags.Changed
	is4 := h.to.Addr().Is4()
	switch frames := f.size.Cycle(); {
	case given("size") && given("payload-size"):
		return exit.Usagef("--size and --payload-size say the same: give one")
	case given("payload-size"):
	case len(frames) > 1:
		return exit.Usagef("--size %v: pings are all of one size", f.size)
	default:
		size := blast.LeastFrame(is4, stamp.Size)
		if len(frames) == 1 {
			size = frames[0]
		}
		n, err := blast.PayloadOfFrame(is4, size)
		if err != nil {
			return exit.Usagef("--size: %w", err)
		}
		f.payloadSize = n
	}
	switch {
	case f.payloadSize < stamp.Size:
		return exit.Usagef("a payload of %d bytes has no room for the stamp of a ping: the least is %d", f.payloadSize, stamp.Size)
	case f.payloadSize > payload.Max:
		return exit.Usagef("a payload of %d bytes is larger than a datagram can be", f.payloadSize)
	}
	return h.checkPayload(f.payloadSize)
}

// admit refuses what must not or can't leave by the way.
func (f *pingFlags) admit(h header, s *session.Session) error {
	if s.WayErr != nil {
		return fmt.Errorf("no way to %v: %w", h.to, s.WayErr)
	}
	if s.Way.IsCast() {
		return exit.Usagef("%v is a group, and ping asks one host", h.to.Addr())
	}
	if err := f.way.checkFragments(h, s, f.payloadSize); err != nil {
		return err
	}
	if most := s.Way.MTU - blast.Overhead(h.to.Addr().Is4()); f.way.flags.Changed("size") && f.payloadSize > most {
		return exit.Usagef("--size %v: the largest frame on %s with an MTU of %d is %d bytes with FCS; --payload-size %d sends fragments",
			f.size, s.Way.Interface.Name, s.Way.MTU, s.Way.MTU+18, f.payloadSize)
	}
	flood := f.pace+f.load > blast.PPS(defaultRate) || f.loaded() && f.load == 0
	if danger := s.Way.Danger(); danger != "" && flood && !f.out.force {
		return exit.NotPossiblef("%s: stay at 100k with the load, use another interface or wsk-xdp lab, or say --force", danger)
	}
	return nil
}
