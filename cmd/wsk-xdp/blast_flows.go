// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// What the engine wsk does: a source port is a WSK socket with a kernel socket behind it, and a flow a destination that
// the datapath keeps.
const (
	maxSockets = 1024
	maxFlows   = 1 << 16
)

// flowFlags say which flows there are.
type flowFlags struct {
	n       int
	order   flowOrder
	seed    uint64
	to      units.Addresses
	toPorts units.Ports
	ports   units.Ports
	sources units.Addresses // of engine frames

	space flows.Space
}

func (f *flowFlags) add(fl *pflag.FlagSet) {
	fl.IntVar(&f.n, "flows", 1, "how many flows: destinations, then sources; up to 65536, of prepared frames 10000000")
	fl.Var(&f.to, "dst", "destination addresses instead of DST's, through its interface: 10.0.0.0/24, 10.0.0.1-10.0.0.9")
	fl.Var(&f.toPorts, "dst-port", "destination ports instead of PORT: 9000-9099")
	fl.Var(&f.sources, "src", "source addresses of engines frames, xdp and packet, whoever has them: 10.0.0.0/8")
	fl.Var(&f.ports, "src-port", "source ports, a socket each but with frames, xdp and packet: 5000-5099 (default: free ones)")
	fl.Var(&f.order, "flow-order", "take the flows in turn or at random")
	fl.Uint64Var(&f.seed, "seed", 0, "number the flows, and take them at random, by this seed")
}

// check refuses flows that there can't be.
func (f *flowFlags) check(h header, w *wayFlags, prepared bool) error {
	f.space = flows.Space{Addresses: f.to, Ports: f.toPorts, Seed: f.seed, Sources: 1}
	if !f.to.IsSet() {
		// One address, which has always the form that Set takes.
		if err := f.space.Addresses.Set(h.to.Addr().WithZone("").String()); err != nil {
			return exit.Usagef("destination %v: %w", h.to.Addr(), err)
		}
	}
	if !f.toPorts.IsSet() {
		f.space.Ports = units.OnePort(h.to.Port())
	}
	most := maxFlows
	if prepared {
		most = frames.MaxFlows
	}
	switch {
	case f.n < 1 || f.n > most:
		return exit.Usagef("--flows %d is outside 1..%d", f.n, most)
	case f.to.IsSet() && f.to.Is4() != h.to.Addr().Is4():
		return exit.Usagef("--dst %v and destination %v are of different IP versions", f.to, h.to.Addr())
	case f.to.IsSet() && castAt(f.to.At(f.to.Len()-1)):
		return exit.Usagef("--dst %v reaches into addresses of groups: give one group as DST:PORT", f.to)
	case f.ports.IsSet() && h.source.Port() != 0:
		return exit.Usagef("--source with a port and --src-port say the same: give one")
	}
	if prepared {
		return f.checkPrepared(h)
	}
	if f.to.IsSet() && w.iface == "" {
		w.pin = true
	}
	return f.checkSockets(h)
}

// checkSockets is about engine wsk, in which a source port is a socket.
func (f *flowFlags) checkSockets(h header) error {
	// As few sources as the flows need.
	destinations := f.space.Len()
	f.space.Sources = (uint64(f.n)-1)/destinations + 1
	switch {
	case f.sources.IsSet():
		return exit.Usagef("--src is for --engine frames, xdp and packet: a socket's source is an address of this host, --source")
	case f.ports.IsSet() && f.space.Sources > f.ports.Len():
		return exit.Usagef("--flows %d: there are only %d, of %d destinations and %d source ports", f.n, destinations*f.ports.Len(), destinations,
			f.ports.Len())
	case f.space.Sources > maxSockets:
		return exit.Usagef("--flows %d takes %d source ports, a socket each, and at most %d are taken: give more destinations by --dst or --dst-port, or --engine frames",
			f.n, f.space.Sources, maxSockets)
	case f.space.Sources > 1 && h.source.Port() != 0:
		return exit.Usagef("--source with a port and --flows %d: one port can't be %d source ports", f.n, f.space.Sources)
	}
	return nil
}

// checkPrepared is about engine frames, in which sources are what is written.
func (f *flowFlags) checkPrepared(h header) error {
	switch {
	case f.sources.IsSet() && f.sources.Is4() != h.to.Addr().Is4():
		return exit.Usagef("--src %v and destination %v are of different IP versions", f.sources, h.to.Addr())
	case f.sources.IsSet() && h.source.Addr().IsValid():
		return exit.Usagef("--source and --src say the same: give one")
	case f.sources.IsSet() && castAt(f.sources.At(f.sources.Len()-1)):
		return exit.Usagef("--src %v reaches into addresses of groups, which nobody sends from", f.sources)
	}
	switch {
	case h.source.Port() != 0:
		f.ports = units.OnePort(h.source.Port())
	case !f.ports.IsSet() && f.n == 1:
		f.ports = units.OnePort(freePorts)
	case !f.ports.IsSet():
		f.ports = units.PortRange(freePorts, 65535)
	}
	f.space.Sources = max(f.sources.Len(), 1)
	if f.space.Len() < uint64(f.n) { // ports only where addresses are too few
		f.space.Sources *= f.ports.Len()
	}
	if f.space.Len() < uint64(f.n) {
		return exit.Usagef("--flows %d: there are only %d: give more by --dst, --dst-port, --src or --src-port", f.n, f.space.Len())
	}
	return nil
}

// freePorts is the first of the ports that are for whoever needs one (RFC 6335).
const freePorts = 49152

// castAt is whether an address, or one behind it, is of a group or everybody.
func castAt(a netip.Addr) bool {
	if a.Is4() {
		return a.As4()[0] >= 224
	}
	return a.IsMulticast()
}

func (f *flowFlags) sockets() int { return int(f.space.Sources) }

// list is every flow, with the socket that sends it.
func (f *flowFlags) list(h header, s *session.Session) []blast.Flow {
	out := make([]blast.Flow, f.n)
	for i := range out {
		one := f.space.At(uint64(i))
		out[i].Socket = s.Sockets[one.Source]
		if f.to.IsSet() {
			out[i].Remote = wsk.NewSockaddr(one.To)
		} else {
			out[i].Remote = s.Remote(one.To.Port(), h.to.Addr())
		}
	}
	return out
}

// flowOrder is in what order flows are taken. It implements pflag.Value.
type flowOrder uint8

const (
	inTurn flowOrder = iota
	randomOrder
)

var flowOrderNames = [...]string{inTurn: "seq", randomOrder: "random"}

// String is the word on the command line.
func (o flowOrder) String() string { return flowOrderNames[o] }

// Type names the form in help texts.
func (o *flowOrder) Type() string { return "seq|random" }

// Set parses the word.
func (o *flowOrder) Set(s string) error {
	for i, name := range flowOrderNames {
		if s == name {
			*o = flowOrder(i)
			return nil
		}
	}
	return fmt.Errorf("%q is neither seq nor random", s)
}
