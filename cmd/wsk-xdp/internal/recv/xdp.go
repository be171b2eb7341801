// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/tally"
)

// Causes of what engine xdp does not account for.
const (
	// ThroughStack is what came to the port by the kernel's stack: fragments, other interfaces, groups, and what the program leaves to
	// the kernel.
	ThroughStack = "through_kernel_stack"
	lateUnread   = "late_unread"
)

// xdpEngine is an XDP program that accounts for packets and drops them. A kernel socket holds the port.
type xdpEngine struct {
	program *tally.Program
	stack   *udpEngine
	beside  *Sink // of the socket
	before  uint64
	once    sync.Once
	stopped error
}

// OpenXDP attaches an XDP program to interfaces of the namespace that accounts for what comes to the port, and drops it. The sink
// looks there.
func OpenXDP(ns *netns.NS, interfaces []string, local netip.AddrPort, sink *Sink) (_ Engine, err error) {
	e := &xdpEngine{}
	if e.beside, err = NewSink(64, VerifyNothing); err != nil {
		return nil, err
	}
	if e.stack, err = openUDP(ns, local, e.beside); err != nil {
		return nil, err
	}
	o := tally.Options{Port: local.Port(), Window: sink.window, Stamps: sink.verify != VerifyNothing}
	err = ns.Do(func() (err error) {
		if o.Addresses, err = listened(local.Addr()); err != nil {
			return err
		}
		if o.Interfaces, err = inspect(interfaces); err != nil {
			return err
		}
		e.program, err = tally.Open(o)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, e.stack.Close())
	}
	e.before = e.beside.Totals().Packets // they came before the program was there
	sink.mu.Lock()
	defer sink.mu.Unlock()
	sink.source = &kernelHalf{program: e.program, clock: clockOfKernel()}
	return e, nil
}

// clockOfKernel is whether programs in the kernel read the clock that this process reads: not so in a time namespace of its own.
func clockOfKernel() bool {
	b, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) // a kernel that has none
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "monotonic" {
			return f[1] == "0" && f[2] == "0"
		}
	}
	return false
}

// listened are the addresses of this host that packets may come to. It is called in the namespace.
func listened(a netip.Addr) (out []netip.Addr, err error) {
	if a.IsValid() && !a.IsUnspecified() {
		return []netip.Addr{a.WithZone("")}, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	for _, one := range all {
		p, err := netip.ParsePrefix(one.String())
		if err != nil {
			continue // of another kind
		}
		if ip := p.Addr().Unmap(); !a.Is4() || ip.Is4() {
			out = append(out, ip)
		}
	}
	return out, nil
}

// inspect asks the kernel for the interfaces. It is called in the namespace.
func inspect(names []string) (out []tally.Interface, err error) {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, name := range names {
		at := slices.IndexFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no interface %s", name)
		}
		l := links[at]
		i := tally.Interface{Name: name, Index: l.Attrs().Index, MAC: l.Attrs().HardwareAddr, Merged: l.Type() == "tuntap" || l.Type() == "tun"}
		if len(i.MAC) != 6 || l.Attrs().Flags&net.FlagLoopback != 0 {
			return nil, fmt.Errorf("%w: %s", ErrNoEthernet, name)
		}
		for _, other := range links {
			if v, ok := other.(*netlink.Vlan); ok && v.ParentIndex == i.Index && v.VlanProtocol == netlink.VLAN_PROTOCOL_8021Q && v.VlanId > 0 && v.VlanId < 4095 {
				i.VLANs = append(i.VLANs, uint16(v.VlanId))
			}
		}
		out = append(out, i)
	}
	return out, nil
}

var (
	// ErrNoEthernet is wrapped where an interface has no Ethernet addresses.
	ErrNoEthernet = errors.New("an interface without Ethernet addresses")
	// ErrTaken is wrapped where an interface has an XDP program already, which is not replaced.
	ErrTaken = tally.ErrTaken
	// ErrRefused is wrapped where the kernel is one that does not take the program.
	ErrRefused = tally.ErrRefused
)

// InterfacesOf are the interfaces of a namespace that packets to an address come in by, as far as addresses tell: those that are up and
// have it, or all that are up where it is every one.
func InterfacesOf(ns *netns.NS, local netip.Addr) (names []string, err error) {
	err = ns.Do(func() error {
		all, err := net.Interfaces()
		if err != nil {
			return fmt.Errorf("list interfaces: %w", err)
		}
		for _, i := range all {
			if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || len(i.HardwareAddr) != 6 {
				continue
			}
			addrs, err := i.Addrs()
			if err != nil {
				return fmt.Errorf("list the addresses of %s: %w", i.Name, err)
			}
			if !local.IsValid() || local.IsUnspecified() || slices.ContainsFunc(addrs, func(a net.Addr) bool {
				text, _, _ := strings.Cut(a.String(), "/")
				ip, err := netip.ParseAddr(text)
				return err == nil && ip.Unmap() == local.WithZone("")
			}) {
				names = append(names, i.Name)
			}
		}
		return nil
	})
	return names, err
}

func (e *xdpEngine) Name() string { return "xdp" }

// Generic are the interfaces at which the program runs in the kernel's receive path and not in the driver.
func (e *xdpEngine) Generic() []string { return e.program.Generic }

// Drops are the packets that are not accounted for.
func (e *xdpEngine) Drops() map[string]uint64 {
	out := e.stack.Drops()
	t := e.program.Totals()
	for cause, n := range map[string]uint64{ThroughStack: e.beside.Totals().Packets - e.before, peer.BadChecksum: t.BadChecksum, lateUnread: t.LateUnread} {
		if n > 0 {
			out[cause] += n
		}
	}
	return out
}

// CatchUp reads what waits at the socket. The program has no queue: what has come is accounted for.
func (e *xdpEngine) CatchUp() { e.stack.CatchUp() }

func (e *xdpEngine) Err() error { return errors.Join(e.program.Err(), e.stack.Err()) }

// stop ends the counting; the counts stay. The socket goes first: what comes to it when the program is gone is not left out by that.
func (e *xdpEngine) stop() {
	e.once.Do(func() { e.stopped = errors.Join(e.stack.finish(), e.program.Detach()) })
}

func (e *xdpEngine) Close() error {
	e.stop()
	return errors.Join(e.stopped, e.program.Err(), e.program.Close())
}
