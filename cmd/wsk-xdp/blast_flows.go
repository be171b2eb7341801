// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
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

	space flows.Space
}

func (f *flowFlags) add(fl *pflag.FlagSet) {
	fl.IntVar(&f.n, "flows", 1, "number of flows: destinations first, then source ports; one IRP each in turn")
	fl.Var(&f.to, "dst", "destination addresses instead of DST's, through its interface: 10.0.0.0/24, 10.0.0.1-10.0.0.9")
	fl.Var(&f.toPorts, "dst-port", "destination ports instead of PORT: 9000-9099")
	fl.Var(&f.ports, "src-port", "source ports, a socket each: 5000-5099 (default: free ones)")
	fl.Var(&f.order, "flow-order", "take the flows in turn or at random")
	fl.Uint64Var(&f.seed, "seed", 0, "number the flows, and take them at random, by this seed")
}

// check refuses flows that there can't be.
func (f *flowFlags) check(h header, w *wayFlags) error {
	f.space = flows.Space{Addresses: f.to, Ports: f.toPorts, Seed: f.seed}
	if !f.to.IsSet() {
		// One address, which has always the form that Set takes.
		if err := f.space.Addresses.Set(h.to.Addr().WithZone("").String()); err != nil {
			return exit.Usagef("destination %v: %w", h.to.Addr(), err)
		}
	}
	if !f.toPorts.IsSet() {
		f.space.Ports = units.OnePort(h.to.Port())
	}
	f.space.Sources = 1
	destinations := f.space.Len()
	switch {
	case f.n < 1 || f.n > maxFlows:
		return exit.Usagef("--flows %d is outside 1..%d", f.n, maxFlows)
	case f.to.IsSet() && f.to.Is4() != h.to.Addr().Is4():
		return exit.Usagef("--dst %v and destination %v are of different IP versions", f.to, h.to.Addr())
	case f.to.IsSet() && castAt(f.to.At(f.to.Len()-1)):
		return exit.Usagef("--dst %v reaches into addresses of groups: give one group as DST:PORT", f.to)
	case f.ports.IsSet() && h.source.Port() != 0:
		return exit.Usagef("--source with a port and --src-port say the same: give one")
	}
	// As few sources as the flows need.
	f.space.Sources = (uint64(f.n)-1)/destinations + 1
	switch {
	case f.ports.IsSet() && f.space.Sources > f.ports.Len():
		return exit.Usagef("--flows %d: there are only %d, of %d destinations and %d source ports", f.n, destinations*f.ports.Len(), destinations,
			f.ports.Len())
	case f.space.Sources > maxSockets:
		return exit.Usagef("--flows %d takes %d source ports, a socket each, and at most %d are taken: give more destinations by --dst or --dst-port",
			f.n, f.space.Sources, maxSockets)
	case f.space.Sources > 1 && h.source.Port() != 0:
		return exit.Usagef("--source with a port and --flows %d: one port can't be %d source ports", f.n, f.space.Sources)
	}
	if f.to.IsSet() && w.iface == "" {
		w.pin = true
	}
	return nil
}

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
