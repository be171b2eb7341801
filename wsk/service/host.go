// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// host is what the service knows of addresses and interfaces. The questions of the data path are answered from tables
// that are replaced as wholes.
type host struct {
	lookout wsk.Endpoint // bound to nothing: knows the interfaces of addresses
	finder  wsk.InterfaceFinder
	source  wsk.AddressSource // nil where the transport knows no addresses
	name    func(uint32) string
	changed func()
	unwatch func()
	socket  int // to ask for names with

	local  atomic.Pointer[map[[16]byte]uint32] // the host's addresses and their interfaces
	places atomic.Pointer[placeTable]
	list   atomic.Pointer[[]ipc.InterfaceAddress]

	mu     sync.Mutex // one goes to the transport or the kernel at a time
	closed bool
}

// placeTable says where interfaces are in a policy.
type placeTable struct {
	policy *policy.Policy
	places map[uint32]placed
}

// placed is the place of an interface, and when it was looked for.
type placed struct {
	place int
	at    time.Time
}

// forgetAbsent is how long an interface that the policy does not name is not looked for again: it may be given another
// name, and no address changes then.
const forgetAbsent = time.Second

type nobody struct{}

func (nobody) Dead() {}

func (h *host) open(t wsk.Transport, name func(uint32) string, changed func()) error {
	lookout, status := t.OpenEndpoint(wsk.AF_INET, nobody{})
	if status != wsk.STATUS_SUCCESS {
		return fmt.Errorf("service: the transport opens no endpoint: %v", status)
	}
	h.lookout, h.name, h.changed, h.socket = lookout, name, changed, -1
	h.finder, _ = lookout.(wsk.InterfaceFinder)
	h.source, _ = t.(wsk.AddressSource)
	if name == nil {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			h.close()
			return fmt.Errorf("service: a socket to ask for interfaces with: %w", err)
		}
		h.socket = fd
		h.name = h.ask
	}
	h.refresh()
	if h.source != nil {
		h.unwatch = h.source.WatchAddresses(func() {
			if h.refresh() {
				h.changed()
			}
		})
	}
	return nil
}

func (h *host) close() {
	if h.unwatch != nil {
		h.unwatch()
	}
	h.mu.Lock()
	h.closed = true
	if h.socket >= 0 {
		unix.Close(h.socket)
		h.socket = -1
	}
	h.mu.Unlock()
	done := make(chan struct{})
	h.lookout.Abort()
	h.lookout.Close(func() { close(done) })
	<-done
}

// ask is the name of an interface in the namespace of the process. mu is held.
func (h *host) ask(index uint32) string {
	if h.socket < 0 {
		return ""
	}
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	ifr.SetUint32(index)
	if unix.IoctlIfreq(h.socket, unix.SIOCGIFNAME, ifr) != nil {
		return ""
	}
	return ifr.Name()
}

// refresh reads the addresses of the host and forgets the names of interfaces. It reports false once the host is
// closed.
func (h *host) refresh() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	local := make(map[[16]byte]uint32)
	var list []ipc.InterfaceAddress
	if h.source != nil {
		for _, family := range []uint16{wsk.AF_INET, wsk.AF_INET6} {
			for _, a := range h.source.Addresses(family) {
				index := a.Scope
				if index == 0 {
					index = h.interfaceOf(a.Addr)
				}
				local[a.Addr] = index
				if index != 0 {
					list = append(list, ipc.InterfaceAddress{Addr: a.Addr, Scope: a.Scope, IfIndex: index})
				}
			}
		}
	}
	h.local.Store(&local)
	h.list.Store(&list)
	h.places.Store(nil)
	return true
}

// addresses are those of ADDRESSES. Nobody changes the list.
func (h *host) addresses() []ipc.InterfaceAddress { return *h.list.Load() }

// isLocal says that an address is one of this host, or loopback.
func (h *host) isLocal(a *[16]byte) bool {
	if _, ok := (*h.local.Load())[*a]; ok {
		return true
	}
	return ipaddr.Addr(*a).IsLoopback()
}

// isOf says that an address is one of an interface.
func (h *host) isOf(a *[16]byte, index uint32) bool {
	if known, ok := (*h.local.Load())[*a]; ok && known == index {
		return true
	}
	return h.interfaceOf(*a) == index
}

// interfaceOf is the interface that has an address, or 0.
func (h *host) interfaceOf(a [16]byte) uint32 {
	if h.finder == nil {
		return 0
	}
	index, status := h.finder.InterfaceOf(ipaddr.Addr(a))
	if status != wsk.STATUS_SUCCESS {
		return 0
	}
	return index
}

// place is where an interface is in the policy, or policy.NoInterface.
func (h *host) place(p *policy.Policy, index uint32) int {
	if t := h.places.Load(); t != nil && t.policy == p {
		if p, ok := t.places[index]; ok && (p.place != policy.NoInterface || time.Since(p.at) < forgetAbsent) {
			return p.place
		}
	}
	if index == 0 {
		return policy.NoInterface
	}
	return h.findPlace(p, index)
}

// findPlace is place for an interface that has not been asked for since the last refresh. One that is not there is not
// kept: it may come, and clients can name as many as they like.
func (h *host) findPlace(p *policy.Policy, index uint32) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	place := policy.NoInterface
	name := h.name(index)
	if name == "" {
		return place
	}
	for i := range p.Interfaces {
		if p.Interfaces[i].Name == name {
			place = i
		}
	}
	next := &placeTable{policy: p, places: make(map[uint32]placed)}
	if old := h.places.Load(); old != nil && old.policy == p && len(old.places) < maxPlaces {
		maps.Copy(next.places, old.places)
	}
	next.places[index] = placed{place, time.Now()}
	h.places.Store(next)
	return place
}

// exists reports whether there is an interface.
func (h *host) exists(index uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed || h.name(index) != ""
}

// maxPlaces bounds the table: interfaces come and go.
const maxPlaces = 256

// sourceFor is the local address that the route to an address prefers.
func (h *host) sourceFor(to wsk.Address) (wsk.Address, wsk.NTSTATUS) {
	if h.source == nil {
		return wsk.Address{}, wsk.STATUS_NOT_SUPPORTED
	}
	return h.source.SourceFor(to)
}

// addrPort is the address of a message in Go's form, with a zone for a scope.
func addrPort(a *ipc.Address, family uint16) netip.AddrPort {
	addr := netip.AddrFrom16(a.Addr)
	if family == wsk.AF_INET {
		addr = addr.Unmap()
	}
	if a.Scope != 0 && addr.Is6() && !addr.Is4In6() {
		addr = addr.WithZone(fmt.Sprint(a.Scope))
	}
	return netip.AddrPortFrom(addr, a.Port)
}

// wireAddress is an address in the form of the protocol.
func wireAddress(ap netip.AddrPort) ipc.Address {
	a := ipc.Address{Addr: ap.Addr().As16(), Port: ap.Port()}
	if zone := ap.Addr().Zone(); zone != "" {
		a.Scope = scopeOf(zone)
	}
	return a
}
