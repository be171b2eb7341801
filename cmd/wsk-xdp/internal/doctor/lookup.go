// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// lookUp looks the way up, on a thread in the namespace netns.
func lookUp(ctx context.Context, netns int, o session.Query) *PathFacts {
	p := &PathFacts{Destination: o.Destination.String(), Port: o.Port}
	o.AssumeNoIPsec = true // see WX-IPSEC-01
	w, err := session.Survey(ctx, netns, o)
	p.ByRules = ruleSelectors(o.Destination)
	if err != nil {
		p.Error, p.Status = err.Error(), session.WayStatus(err).String()
		return p
	}
	p.Kind = w.Kind.String()
	p.Interface, p.Device, p.MTU, p.InterfaceMTU, p.DeviceMTU = w.Interface.Name, w.Device.Name, w.MTU, w.Interface.MTU, w.Device.MTU
	p.OnLink, p.AskNeeded, p.SlowReason, p.IPsec, p.AnswersRefused = w.OnLink, w.NeighbourNeeded, w.SlowReason, w.IPsec, w.AnswersRefused
	p.overBridge, p.stacked = standsOn(w.Interface.Name)
	p.passesOthers = p.stacked
	if w.Device.Name != w.Interface.Name {
		var bridge bool
		bridge, p.passesOthers = standsOn(w.Device.Name)
		p.overBridge, p.stacked = p.overBridge || bridge, true
	}
	if w.Source.IsValid() {
		p.Source = w.Source.String()
	}
	if w.Gateway.IsValid() {
		p.NextHop = w.Gateway.String()
	}
	if w.MAC != nil {
		p.MAC = w.MAC.String()
	} else if p.AskNeeded {
		p.Silent = silent(w.Interface.Index, w.Gateway)
	}
	p.Member = o.Destination.IsMulticast() && hasMember(w.Interface.Index, o.Destination)
	p.NextHops = nextHops(o.Destination, w.Interface.Index, o.Interface != "")
	if p.SlowReason == "" {
		p.device(w.Device.Name, w.Device.Index)
	}
	return p
}

// device looks at the link and the queues of the device that AF_XDP is to be bound to.
func (p *PathFacts) device(name string, index int) {
	i, err := nic.Inspect(name)
	if err != nil {
		return // gone meanwhile
	}
	p.LinkDown = !i.Up || !i.Running
	taken := map[uint32]bool{}
	for _, b := range nic.FindHolders(index).Bound {
		taken[b.Queue] = true
	}
	for _, q := range i.Queues {
		if q.Taken && q.TX {
			taken[q.ID] = true
		}
	}
	p.Taken = len(taken) > 0 && len(taken) >= i.TxQueues.N
}

// mostStacked is how many devices below each other are looked at; the kernel allows eight (MAX_NEST_DEV).
const mostStacked = 10

// standsOn is whether an interface is a bridge or stands on one, and whether it has others below it.
func standsOn(name string) (bridge, others bool) {
	l, err := netlink.LinkByName(name)
	for range mostStacked {
		if err != nil {
			break
		}
		switch l.Type() {
		case "bridge":
			return true, true
		case "bond", "team":
			return false, true
		case "veth":
			return false, others // the other end is no device below
		}
		a := l.Attrs()
		others = others || a.ParentIndex != 0
		if a.ParentIndex == 0 || a.NetNsID >= 0 { // what is below in another namespace can't be seen
			break
		}
		l, err = netlink.LinkByIndex(a.ParentIndex)
	}
	return false, others
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// silent is whether the kernel has asked for a neighbour and got no answer (FAILED).
func silent(ifindex int, ip netip.Addr) bool {
	list, err := testenv.Dump(func() ([]netlink.Neigh, error) { return netlink.NeighList(ifindex, family(ip)) })
	if err != nil {
		return false
	}
	for _, n := range list {
		if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap() == ip.WithZone("") {
			return n.State&netlink.NUD_FAILED != 0
		}
	}
	return false
}

// ruleSelectors are what the policy rules of the destination's family look at, besides addresses.
func ruleSelectors(to netip.Addr) (out []string) {
	list, err := testenv.Dump(func() ([]netlink.Rule, error) { return netlink.RuleList(family(to)) })
	if err != nil {
		return nil
	}
	found := map[string]bool{}
	for _, r := range list {
		found[byPort] = found[byPort] || r.Dport != nil
		found[bySourcePort] = found[bySourcePort] || r.Sport != nil
		found["user"] = found["user"] || r.UIDRange != nil
		found["mark"] = found["mark"] || r.Mark != 0
		found["TOS"] = found["TOS"] || r.Tos != 0
	}
	for _, what := range []string{byPort, bySourcePort, "user", "mark", "TOS"} {
		if found[what] {
			out = append(out, what)
		}
	}
	return out
}

const (
	byPort       = "destination port"
	bySourcePort = "source port"
)

// nextHops is how many the route has that the kernel finds, 0 for one.
func nextHops(to netip.Addr, ifindex int, named bool) int {
	o := &netlink.RouteGetOptions{FIBMatch: true}
	if named {
		o.OifIndex = ifindex
	}
	routes, err := netlink.RouteGetWithOptions(net.IP(to.WithZone("").AsSlice()), o)
	if err != nil || len(routes) == 0 || len(routes[0].MultiPath) < 2 {
		return 0
	}
	return len(routes[0].MultiPath)
}

// hasMember is whether a socket of this host has joined a group on an interface; where that can't be read, it is.
func hasMember(ifindex int, group netip.Addr) bool {
	if group.Is6() {
		b, err := os.ReadFile("/proc/thread-self/net/igmp6")
		if err != nil {
			return !os.IsNotExist(err)
		}
		want := strconv.Itoa(ifindex) + " " + hex.EncodeToString(group.WithZone("").AsSlice())
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 2 && f[0]+" "+f[2] == want {
				return true
			}
		}
		return false
	}
	b, err := os.ReadFile("/proc/thread-self/net/igmp")
	if err != nil {
		return true
	}
	is, a := false, group.As4()
	want := strings.ToUpper(strconv.FormatUint(1<<32|uint64(binary.NativeEndian.Uint32(a[:])), 16)[1:])
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case line[0] != '\t':
			is = f[0] == strconv.Itoa(ifindex)
		case is && f[0] == want:
			return true
		}
	}
	return false
}
