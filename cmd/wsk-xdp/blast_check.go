// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/failif"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/sockets"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Defaults and limits of blast.
const (
	defaultRate     = 100_000 // so that no accident saturates a link
	defaultDuration = 10 * time.Second
	maxBatch        = 1024
	maxInFlight     = 1 << 16
	maxPackets      = 1 << 20         // in flight
	batchAtMax      = 64              // of --rate max: one wake-up per burst
	inFlightPackets = 2048            // as many as there are chunks
	drainTime       = 4 * time.Second // longer than the wait for a neighbour that does not answer
)

type blastFlags struct {
	way         wayFlags
	rate        units.Rate
	layer       units.Layer
	count       units.Count
	duration    units.Duration
	size        units.Sizes
	payloadSize int
	payload     string
	flows       flowFlags
	queues      int
	batch       int
	inFlight    int
	stamp       blast.StampKind
	engine      engine
	ether       etherFlags
	timing      paceFlags
	peer        bool
	out         formatFlags
	look        previewFlags
	failIf      failif.List
	file        string // of --config

	sizes []int      // payload sizes, in turn
	pace  blast.Rate // the rate in packets, known with the way
	note  string     // what was decided for want of room
}

func (f *blastFlags) defaults() {
	given := f.way.flags.Changed
	if !given("batch") {
		f.batch = 1
		if f.engine != engineUDP && (f.rate.IsMax() || f.engine != engineWSK) {
			f.batch = batchAtMax
		}
	}
	if !given("duration") && !given("count") {
		f.duration = units.Duration(defaultDuration)
	}
	if !given("in-flight") && f.batch > 0 {
		f.inFlight = max(inFlightPackets/f.batch, 16)
	}
}

// config is how to send, with the rate that the way has made of the one that was given.
func (f *blastFlags) config() blast.Config {
	return blast.Config{
		Rate: f.pace, Steps: f.timing.steps, Burst: uint64(f.timing.burst), Spin: f.timing.spins(f.engine, f.rate.IsMax()), Count: uint64(f.count), Duration: time.Duration(f.duration), Batch: f.batch, InFlight: f.inFlight, Drain: drainTime,
	}
}

func (f *blastFlags) check(ctx context.Context, destination string) (header, error) {
	h, err := f.way.parse(ctx, destination)
	if err == nil {
		err = f.out.check()
	}
	if err == nil {
		err = f.look.check(&f.out, f.way.via)
	}
	if err != nil {
		return h, err
	}
	for _, r := range []struct {
		flag        string
		value, high int
	}{
		{"--batch", f.batch, maxBatch}, {"--queues", f.queues, 4096},
		{"--in-flight", f.inFlight, maxInFlight},
	} {
		if r.value < 1 || r.value > r.high {
			return h, exit.Usagef("%s %d is outside 1..%d", r.flag, r.value, r.high)
		}
	}
	given := f.way.flags.Changed
	switch {
	case given("count") && f.count == 0:
		return h, exit.Usagef("--count 0 sends nothing: leave it out for no limit")
	case f.inFlight*f.batch > maxPackets:
		return h, exit.Usagef("--in-flight %d of --batch %d packets is more than %s packets in flight", f.inFlight, f.batch, units.Grouped(maxPackets))
	case given("payload-size") && (f.payloadSize < 0 || f.payloadSize > payload.Max):
		return h, exit.Usagef("--payload-size %d is outside 0..%d", f.payloadSize, payload.Max)
	case given("size") && given("payload-size"):
		return h, exit.Usagef("--size and --payload-size say the same: give one")
	}
	if l := f.timing.schedule; len(l) > 0 {
		if err := f.timing.scheduled(given); err != nil {
			return h, err
		}
		f.duration = units.Duration(l.Length())
	} else if micro, ok := f.rate.InPackets(); ok {
		if err := oneIsDue(f.rate, blast.Rate(micro), time.Duration(f.duration)); err != nil {
			return h, err
		}
	}
	if err := f.checkEngine(); err != nil {
		return h, err
	}
	if err := f.flows.check(h, &f.way, f.engine.prepared()); err != nil {
		return h, err
	}
	if given("payload") && f.payload != "zero" && !given("stamp") && !f.peer {
		f.stamp = blast.StampNone
		f.note = "  these packets are not numbered: --stamp wsk writes over the beginning of the payload"
	}
	if err := f.choosePayload(h); err != nil {
		return h, err
	}
	if err := f.checkConditions(); err != nil {
		return h, err
	}
	return h, f.checkStamp()
}

// checkConditions refuses conditions about what such a run does not measure.
func (f *blastFlags) checkConditions() error {
	for _, c := range f.failIf {
		switch {
		case f.look.dry:
			return exit.Usagef("--fail-if and --dry-run: a run that is not made has no figures")
		case c.Name == "slow_path" && f.way.via != "":
			return exit.Usagef("--fail-if %s and --via: the daemon alone knows what went which way", c.Text)
		case c.Kind == failif.PeerCount && !f.peer:
			return exit.Usagef("--fail-if %s: what arrived is counted with --peer", c.Text)
		case c.Kind == failif.Time && f.engine.prepared():
			return exit.Usagef("--fail-if %s: engine %v counts what is completed, and measures no times of it", c.Text, f.engine)
		case (c.OfRate || c.Name == "forfeited") && f.rate.IsMax():
			return exit.Usagef("--fail-if %s: --rate max is no rate to hold it to", c.Text)
		}
	}
	return nil
}

// checkStamp sees to it that stamps fit, and that a peer can count them.
func (f *blastFlags) checkStamp() error {
	given := f.way.flags.Changed("stamp")
	if smallest, n := slices.Min(f.sizes), f.stamp.Size(); smallest < n {
		if given || f.peer {
			return exit.Usagef("a payload of %d bytes has no room for a stamp of %d: send larger packets, or --stamp none", smallest, n)
		}
		f.stamp = blast.StampNone
		f.note = fmt.Sprintf("  payloads of %d bytes have no room for a stamp of %d: these packets are not numbered", smallest, n)
	}
	switch {
	case f.peer && f.stamp != blast.StampWSK:
		return exit.Usagef("--peer counts stamps of its own: leave --stamp %v out", f.stamp)
	case f.peer && (f.flows.to.IsSet() || f.flows.toPorts.IsSet()):
		return exit.Usagef("--peer counts at one address and port: leave --dst and --dst-port out")
	}
	return nil
}

// checkEngine refuses what the engine can't do.
func (f *blastFlags) checkEngine() error {
	given := f.way.flags.Changed
	if !f.engine.prepared() {
		for _, name := range []string{"src-mac", "dst-mac", "vlan"} {
			if given(name) {
				return exit.Usagef("--%s is for --engine frames, xdp and packet: with sockets the host decides it", name)
			}
		}
	}
	if err := f.timing.check(given, f.engine, f.rate.IsMax()); err != nil {
		return err
	}
	if f.engine == engineWSK {
		return nil
	}
	for _, name := range []string{"queues", "in-flight", "checksum"} {
		if given(name) {
			return exit.Usagef("--%s is for --engine wsk: engine %v takes one queue, and leaves no checksum open", name, f.engine)
		}
	}
	if f.engine.sockets() {
		return f.checkKernel()
	}
	if err := f.checkMode(); err != nil {
		return err
	}
	if f.engine == engineXDP {
		if err := checkLive(f.batch, f.flows.n, len(f.timing.cpus)); err != nil {
			return err
		}
	}
	return f.ether.parse()
}

// checkMode refuses modes of AF_XDP that the engine does not have.
func (f *blastFlags) checkMode() error {
	switch given := f.way.flags.Changed; {
	case f.engine != engineFrames && (given("mode") || given("require")):
		return exit.Usagef("--mode and --require are about AF_XDP sockets, of which --engine %v has none", f.engine)
	case f.way.mode == session.Mode(xdp.ModeZeroCopy) || f.way.require == session.RequireZeroCopy:
		return exit.Usagef("--engine frames sends in copy mode only")
	}
	return nil
}

// checkKernel refuses what sockets of the kernel can't do, or leave to it.
func (f *blastFlags) checkKernel() error {
	given := f.way.flags.Changed
	for _, name := range []string{"mode", "require", "assume-no-ipsec"} {
		if given(name) {
			return exit.Usagef("--%s is about AF_XDP, and --engine %v is the kernel's own socket", name, f.engine)
		}
	}
	switch {
	case f.engine == engineUDP && f.batch > 1:
		return exit.Usagef("--batch %d: --engine udp makes a call for each datagram; sendmmsg and gso send several", f.batch)
	case f.engine == engineGSO && f.batch > sockets.MaxSegments:
		return exit.Usagef("--batch %d: the kernel cuts a buffer into %d datagrams at most", f.batch, sockets.MaxSegments)
	case f.engine == engineGSO && (len(f.size.Cycle()) > 1 || given("payload-size") && f.payloadSize == 0):
		return exit.Usagef("--engine gso cuts a buffer into datagrams of one size, above 0: give one")
	}
	return nil
}

// flood is whether the rate, of packets that are so many frames each, is more than what is harmless anywhere.
func (f *blastFlags) flood(frames int) bool {
	fastest := f.pace
	for _, s := range f.timing.steps {
		fastest = max(fastest, s.Rate)
	}
	return f.rate.IsMax() || fastest > blast.PPS(defaultRate)/blast.Rate(max(frames, 1))
}

// choosePayload turns frame sizes into the sizes of payloads.
func (f *blastFlags) choosePayload(h header) error {
	if f.payloadSize >= 0 {
		f.sizes = []int{f.payloadSize}
		return nil
	}
	is4 := h.to.Addr().Is4()
	frames := f.size.Cycle()
	if len(frames) == 0 {
		frames = []int{blast.LeastFrame(is4, f.stamp.Size())}
	}
	f.sizes = make([]int, len(frames))
	for i, size := range frames {
		n, err := blast.PayloadOfFrame(is4, size)
		if err != nil {
			return exit.Usagef("--size: %w", err)
		}
		if n > payload.Max {
			return exit.Usagef("--size %d is larger than a datagram can be", size)
		}
		f.sizes[i] = n
	}
	f.payloadSize = slices.Max(f.sizes)
	return nil
}
