// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// setupTimeout bounds each wait for the kernel. Links come up in milliseconds; only a broken machine gets here.
const setupTimeout = 10 * time.Second

// Host is one end of a lab: a namespace and its interface.
type Host struct {
	NS *Namespace
	If *Iface
	// Addrs are the addresses that the interface got, in the order of the topology.
	Addrs []netip.Prefix
}

// IPv4 returns the host's first IPv4 address, the zero Addr if it has none.
func (h *Host) IPv4() netip.Addr { return h.first(netip.Addr.Is4) }

// IPv6 returns the host's first IPv6 address, the zero Addr if it has none.
func (h *Host) IPv6() netip.Addr { return h.first(netip.Addr.Is6) }

func (h *Host) first(is func(netip.Addr) bool) netip.Addr {
	for _, p := range h.Addrs {
		if is(p.Addr()) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// Router is the forwarding host of a [Routed] lab.
type Router struct {
	NS *Namespace
	// A and B are the interfaces towards the two ends.
	A, B *Iface
}

// Lab is a topology made real. Its namespaces belong to it: Close ends them.
type Lab struct {
	Topology Topology // with every default filled in
	A, B     *Host
	Router   *Router      // nil unless Routed
	Counter  *DropCounter // nil unless Topology.PeerXDP
}

// NewLab builds a topology in fresh anonymous namespaces and returns when every link has carrier and every address is
// usable. On an error nothing is left. It needs CAP_SYS_ADMIN and CAP_NET_ADMIN in the current user namespace.
func NewLab(t Topology) (*Lab, error) {
	return newLab(t, func(string) (*Namespace, error) { return NewNamespace() })
}

// newLab makes each namespace with the given function, which learns its role: a, b or r.
func newLab(t Topology, make func(role string) (*Namespace, error)) (lab *Lab, err error) {
	t, err = t.withDefaults()
	if err != nil {
		return nil, err
	}
	lab = &Lab{Topology: t, A: &Host{}, B: &Host{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("build lab: %w", errors.Join(err, lab.Close()))
			lab = nil
		}
	}()
	if lab.A.NS, err = make("a"); err != nil {
		return lab, err
	}
	if lab.B.NS, err = make("b"); err != nil {
		return lab, err
	}
	if t.Shape == Routed {
		lab.Router = &Router{}
		if lab.Router.NS, err = make("r"); err != nil {
			return lab, err
		}
	}
	if t.NoIPv6 {
		for _, ns := range lab.Namespaces() {
			if err = ns.disableIPv6(); err != nil {
				return lab, err
			}
		}
	}
	if err = lab.connect(); err != nil {
		return lab, err
	}
	if t.PeerXDP != XDPNone {
		if lab.Counter, err = NewDropCounter(lab.B.If, DropCounterOptions{Pass: t.PeerXDP == XDPPass}); err != nil {
			return lab, err
		}
	}
	return lab, nil
}

// Namespaces returns the lab's namespaces: A, B and the router's if there is one.
func (l *Lab) Namespaces() []*Namespace {
	var out []*Namespace
	if l.A.NS != nil {
		out = append(out, l.A.NS)
	}
	if l.B.NS != nil {
		out = append(out, l.B.NS)
	}
	if l.Router != nil && l.Router.NS != nil {
		out = append(out, l.Router.NS)
	}
	return out
}

// Close detaches the counter and gives up the namespaces. Judges that are still open keep theirs alive: close them
// first. A second Close does nothing.
func (l *Lab) Close() error {
	var errs []error
	if l.Counter != nil {
		errs = append(errs, l.Counter.Close())
	}
	for _, ns := range l.Namespaces() {
		errs = append(errs, ns.Close())
	}
	return errors.Join(errs...)
}

func (l *Lab) connect() error {
	t := l.Topology
	switch t.Shape {
	case Direct:
		a, b, err := newVeth(l.A.NS, t.A, indexA, l.B.NS, t.B, t.MTU)
		if err != nil {
			return err
		}
		l.A.If, l.B.If = a, b
	case Routed:
		if err := l.connectRouter(); err != nil {
			return err
		}
	}
	ifaces := []*Iface{l.A.If, l.B.If}
	if l.Router != nil {
		ifaces = append(ifaces, l.Router.A, l.Router.B)
	}
	for _, i := range ifaces {
		if !t.Offloads {
			if err := i.DisableOffloads(); err != nil {
				return err
			}
		}
	}
	if t.GRO {
		if err := l.B.If.SetFeature("rx-gro", true); err != nil {
			return err
		}
	}
	for _, e := range []struct {
		host *Host
		end  End
	}{{l.A, t.A}, {l.B, t.B}} {
		e.host.Addrs = e.end.Addrs
		for _, p := range e.end.Addrs {
			if err := e.host.If.AddAddr(p); err != nil {
				return err
			}
		}
	}
	if l.Router != nil {
		for _, hop := range []struct {
			iface *Iface
			addrs []netip.Prefix
		}{{l.Router.A, routerAddrsA}, {l.Router.B, routerAddrsB}} {
			for _, p := range hop.addrs {
				if p.Addr().Is6() && t.NoIPv6 {
					continue
				}
				if err := hop.iface.AddAddr(p); err != nil {
					return err
				}
			}
		}
	}
	for _, i := range ifaces {
		if err := i.up(); err != nil {
			return err
		}
	}
	for _, i := range ifaces {
		if err := i.awaitReady(); err != nil {
			return err
		}
	}
	if l.Router != nil {
		if err := l.addDefaultRoutes(); err != nil {
			return err
		}
	}
	if t.Neighbours == Static {
		return l.addStaticNeighbours()
	}
	return nil
}
