// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Query asks for the way to a destination.
type Query struct {
	Destination netip.Addr
	Source      netip.Addr // invalid: the route's choice
	Interface   string     // empty: the route's choice
	// Port is that of the destination, for rules that look at it; 0: not asked for.
	Port uint16
	TOS  uint8
	// AssumeNoIPsec says that the host has no IPsec policies where they can't be read.
	AssumeNoIPsec bool

	asks route.Query // what the routes of a socket depend on besides addresses
}

// Way is how datagrams to a destination leave, as the kernel's tables have it now.
type Way struct {
	// Destination has an interface index as its zone if it is link-local.
	Destination netip.Addr
	Source      netip.Addr
	Kind        route.Kind
	MTU         int // largest IP packet

	// Interface is the outgoing one; Device the one that AF_XDP is bound to, below a VLAN or a bond.
	Interface, Device route.Device
	VLANs             []route.VLAN

	Gateway netip.Addr // the next hop; the destination itself when OnLink
	OnLink  bool
	MAC     net.HardwareAddr // nil while it is not known
	// NeighbourNeeded is whether somebody has to be asked for the MAC.
	NeighbourNeeded bool

	// SlowReason says why AF_XDP is out of question, empty if it is not.
	SlowReason string
	// IPsec is whether it is an IPsec policy.
	IPsec bool
	// AnswersRefused is whether the host takes no datagram of the destination from the interface that leads there (rp_filter).
	AnswersRefused bool
	// Bypasses says which rules of the host frames would bypass that are not made here, with the identity of doctor's finding;
	// empty if none. Only OpenInterface asks.
	Bypasses string

	dependents Dependents
	elsewhere  bool // it is not the way of the daemon that sends, which is in another namespace
}

// ErrNoInterface is wrapped when the interface asked for is not there.
var ErrNoInterface = errors.New("no such interface in this network namespace")

// Survey looks a way up in the namespace ns, 0 for the process's own. It asks nobody on the network.
// With an error about the way, Way.Interface is still that of the query, if it named one.
func Survey(ctx context.Context, ns int, q Query) (Way, error) {
	table, err := route.Open(route.Options{NetNS: ns, AssumeNoIPsec: q.AssumeNoIPsec})
	if err != nil {
		return Way{}, err
	}
	defer table.Close()
	if q.asks, err = asksAsSocket(ns, q.Destination); err != nil {
		return Way{}, err
	}
	w, err := surveyTable(ctx, table, q)
	if err == nil {
		w.dependents = dependentsOn(ctx, table, w.Interface.Index, w.Device.Index)
		if w.Kind == route.Unicast && w.Source.IsValid() {
			taken, err := table.Accepts(route.Arrival{Src: q.Destination, Dst: w.Source, Interface: w.Interface.Index, TOS: q.TOS})
			w.AnswersRefused = err == nil && !taken
		}
	}
	return w, err
}

// asksAsSocket reads from a socket what this process's sockets are bound to (ip vrf exec) and marked with.
func asksAsSocket(ns int, to netip.Addr) (rq route.Query, err error) {
	family := unix.AF_INET6
	if to.Unmap().Is4() {
		family = unix.AF_INET
	}
	err = netns.Do(ns, func() error {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			return nil // there is no way either, which is told in its place
		}
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer unix.Close(fd)
		return rq.OfSocket(fd)
	})
	return rq, err
}

// PoliciesUnreadable says why the IPsec policies of the namespace ns can't be read by this process, so that it sends through the
// kernel's stack unless told that there are none; it is empty where they can.
func PoliciesUnreadable(ns int) string {
	table, err := route.Open(route.Options{NetNS: ns})
	if err == nil {
		defer table.Close()
		err = table.PoliciesUnreadable()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func surveyTable(ctx context.Context, table *route.Table, q Query) (Way, error) {
	w := Way{}
	rq := q.asks
	rq.Dst, rq.DstPort, rq.Src, rq.TOS = q.Destination, q.Port, q.Source.WithZone(""), q.TOS
	if q.Interface != "" {
		dev, ok := table.DeviceByName(q.Interface)
		if !ok {
			return w, fmt.Errorf("%s: %w: see ip link", q.Interface, ErrNoInterface)
		}
		rq.Interface, w.Interface = dev.Index, dev
	}
	hop, err := table.Resolve(ctx, rq)
	if err != nil {
		return w, wayError(q, err)
	}
	w = Way{
		Destination: q.Destination, Source: hop.Source, Kind: hop.Kind, MTU: hop.MTU,
		Interface: hop.Device, Device: hop.Device, Gateway: hop.Gateway, OnLink: hop.OnLink,
	}
	if w.Destination.Zone() != "" || w.Destination.IsLinkLocalUnicast() && w.Destination.Is6() {
		w.Destination = w.Destination.WithZone(strconv.Itoa(hop.Interface))
	}
	egress, obstacle := table.Transmit(hop, q.TOS)
	if obstacle.ID == route.NoObstacle && hop.Kind != route.Local {
		obstacle = table.Selected(rq, hop)
	}
	if obstacle.ID != route.NoObstacle {
		w.SlowReason, w.IPsec = obstacle.String(), obstacle.ID == route.ObstacleIPsec
		return w, nil
	}
	w.Device, w.VLANs = egress.Device, egress.VLANs
	w.NeighbourNeeded = hop.Kind == route.Unicast && !hop.Device.NoARP
	if mac, ok := table.NeighbourNow(hop.Interface, hop.Gateway); ok && hop.Kind == route.Unicast {
		w.MAC = mac[:]
	}
	return w, nil
}

// LargestMTU is the largest MTU whose packets fit a chunk of the datapath: 4096 bytes, less the Ethernet header, two VLAN tags and the
// room that frames move about in. Above it they take several, which kernels before 6.12 don't have.
const LargestMTU = 4096 - 14 - 2*4 - 64

// wayError says in one sentence why there is no way, and what to do.
func wayError(q Query, err error) error {
	switch {
	case errors.Is(err, route.ErrSource) && q.Interface != "":
		return wayErr{fmt.Sprintf("source %v is no address of %s: see ip addr show %s", q.Source, q.Interface, q.Interface), err}
	case errors.Is(err, route.ErrSource):
		return wayErr{fmt.Sprintf("source %v is no address of this host: see ip addr", q.Source), err}
	case errors.Is(err, route.ErrScope) && q.Destination.Zone() != "":
		return wayErr{fmt.Sprintf("destination %v names another interface than %s", q.Destination, q.Interface), err}
	case errors.Is(err, route.ErrScope):
		return wayErr{fmt.Sprintf("destination %v is link-local: write the interface behind it, as in %v%%wsk0", q.Destination, q.Destination), err}
	case errors.Is(err, route.ErrNoDevice):
		return wayErr{fmt.Sprintf("destination %v: there is no interface %s here: see ip link", q.Destination, q.Destination.Zone()), err}
	case errors.Is(err, route.ErrNoRoute):
		return fmt.Errorf("%w (see ip route get %v)", err, q.Destination)
	}
	return err
}

// wayErr is a sentence about an error of package route.
type wayErr struct {
	sentence string
	cause    error
}

// Error is the sentence.
func (e wayErr) Error() string { return e.sentence }

// Unwrap returns the cause.
func (e wayErr) Unwrap() error { return e.cause }

// asked is whether an error of the way is about what was asked for: an interface, a source or a zone that is not there.
func asked(err error) bool {
	return errors.Is(err, ErrNoInterface) || errors.Is(err, route.ErrSource) || errors.Is(err, route.ErrNoDevice)
}

// IsCast is whether the destination is a group or everybody.
func (w *Way) IsCast() bool { return w.Kind == route.Broadcast || w.Kind == route.Multicast }

// DeviceName is the name of the interface that datagrams leave through, empty when that is not known.
func (w *Way) DeviceName() string { return w.Device.Name }

func deviceKind(d route.Device) string {
	if d.Kind != "" {
		return d.Kind
	}
	return d.Type.String()
}

// NextHop says who gets the frames and how that is known.
func (w *Way) NextHop() string {
	switch {
	case w.Kind == route.Local:
		return "this host"
	case w.Kind == route.Broadcast:
		return "everybody on the link"
	case w.Kind == route.Multicast:
		return "the group on the link"
	case w.SlowReason != "":
		return w.Gateway.String() // the kernel looks for the neighbour
	case !w.NeighbourNeeded:
		return fmt.Sprintf("%v (no neighbour to ask for)", w.Gateway)
	}
	to := w.Gateway.String()
	if !w.OnLink {
		to += " (gateway)"
	}
	if w.MAC == nil {
		return to + " (not resolved yet: the first datagram waits for the answer)"
	}
	return fmt.Sprintf("%s %v (neighbour table)", to, w.MAC)
}

// daemonElsewhere is a sentence about what was surveyed in another network namespace than the daemon sends in.
const daemonElsewhere = "the daemon is in another network namespace"

// Danger says why a flood over the way would harm others, with the identity of doctor's finding; empty if nothing is
// known.
func (w *Way) Danger() string {
	switch {
	case w.elsewhere:
		return daemonElsewhere + ", and who is on its links is not known"
	case w.Kind == route.Broadcast:
		return "WX-CAST-01: every host on the link of " + w.Interface.Name + " takes a broadcast"
	case w.Kind == route.Multicast:
		return "WX-CAST-01: switches may send a group's datagrams to every host on the link of " + w.Interface.Name
	case w.dependents.SSH:
		return "WX-SSH-01: this ssh session runs over " + w.Interface.Name
	case w.dependents.DefaultRoute:
		return "WX-SSH-01: the default route uses " + w.Interface.Name
	}
	return ""
}
