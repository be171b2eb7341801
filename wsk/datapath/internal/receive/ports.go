// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// PortEntry is a key of the XDP programs that brings the datagrams of a sink, and the intakes that it was entered
// for. Sinks that share an address share the key.
type PortEntry struct {
	key     bpf.Key
	flags   bpf.Flags
	ifindex uint32 // 0: any interface
	intakes []*Intake
}

// Register makes a sink known to the receive queues and its port to the programs. Nothing is redirected for a socket
// that nobody reads from.
func (h *Hub) Register(s *Sink) {
	if s.receiver == nil {
		return
	}
	b := bindingOf(s, s.local.Addr(), s.dual)
	port := s.local.Port()
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	h.ports.update(port, func(t *portTable) { t.insert(b) })
	a := ipaddr.Addr(b.addr)
	var entries []PortEntry
	switch {
	case b.specific() && (a.IsLoopback() || a.IsMulticast()):
		// Loopback never comes from the wire; a group comes with its membership.
	case b.specific():
		entries = append(entries, h.addKeyLocked(bpf.Key{Addr: a, Port: port}, 0, b.scope))
	default:
		if b.any4 {
			key := bpf.Key{Addr: netip.IPv4Unspecified(), Port: port}
			entries = append(entries, h.addKeyLocked(key, bpf.MatchBroadcast, 0))
		}
		if b.any6 {
			key := bpf.Key{Addr: netip.IPv6Unspecified(), Port: port}
			entries = append(entries, h.addKeyLocked(key, 0, 0))
		}
	}
	if h.sinks == nil {
		h.sinks = make(map[*Sink][]PortEntry)
	}
	h.sinks[s] = entries
	h.countLocked()
}

// countLocked notes whether one sink only receives.
func (h *Hub) countLocked() {
	var single *Sink
	if len(h.sinks) == 1 {
		for s := range h.sinks {
			single = s
		}
	}
	h.single.Store(single)
}

// Unregister takes a sink out again: when it returns, frames of its port go to the kernel, and the receive queues
// don't know it (I12).
func (h *Hub) Unregister(s *Sink) {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	for _, e := range h.sinks[s] {
		h.removeKeyLocked(e)
	}
	delete(h.sinks, s)
	h.countLocked()
	h.ports.update(s.local.Port(), func(t *portTable) { t.remove(s) })
}

// addKeyLocked enters a key into the program of every interface that serves ifindex. A program that is full passes
// the frames to the kernel, and so to the companion socket.
func (h *Hub) addKeyLocked(key bpf.Key, flags bpf.Flags, ifindex uint32) PortEntry {
	e := PortEntry{key: key, flags: flags, ifindex: ifindex}
	for _, in := range h.intakes {
		e.addLocked(in)
	}
	return e
}

// addLocked enters the key into one program if its interface serves it.
func (e *PortEntry) addLocked(in *Intake) {
	if !in.serves(e.ifindex) {
		return
	}
	use := in.keys[e.key]
	if use == nil {
		use = &keyUse{flags: e.flags}
		in.keys[e.key] = use
	}
	use.n++
	in.settleLocked(e.key, use)
	e.intakes = append(e.intakes, in)
}

// keyUse is what an intake knows of a key.
type keyUse struct {
	n       int // the sinks and memberships that want it
	flags   bpf.Flags
	entered bool      // it is in the program
	told    bpf.Flags // the flags that it has there
}

// settleLocked enters a key into the program, or takes it out, as its users and the host's rules want it.
func (in *Intake) settleLocked(key bpf.Key, use *keyUse) {
	wanted, flags := use.n > 0 && !in.bars(key), use.flags
	if in.identity.Load().shared {
		flags &^= bpf.MatchBroadcast
	}
	if wanted == use.entered && (!wanted || flags == use.told) {
		return
	}
	lockrank.AssertMay(locks.Ask, "to write the ports of a program")
	if !wanted {
		use.entered = false
		if err := in.Prog.RemovePort(key); err != nil {
			in.Hub.Log.Debug("take a port out of the XDP program", "interface", in.Name, "port", key, "err", err)
		}
		return
	}
	if err := in.Prog.AddPort(key, flags); err != nil {
		if !errors.Is(err, bpf.ErrClosed) {
			in.Hub.Log.Warn("enter a port into the XDP program; it receives through the kernel's stack",
				"interface", in.Name, "port", key, "err", err)
		}
		return
	}
	use.entered, use.told = true, flags
}

// Add makes an intake known and enters the ports of all sinks into its program, unless closed says that it has ended.
// Memberships went with the device before it.
func (h *Hub) Add(in *Intake, closed func() bool) bool {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	if closed() {
		return false
	}
	h.intakes = append(h.intakes, in)
	for _, entries := range h.sinks {
		for i := range entries {
			entries[i].addLocked(in)
		}
	}
	return true
}

func (h *Hub) removeKeyLocked(e PortEntry) {
	for _, in := range e.intakes {
		use := in.keys[e.key]
		if use.n--; use.n == 0 {
			in.settleLocked(e.key, use)
			delete(in.keys, e.key)
		}
	}
}

// SetMember makes the receive queues go by the filter of a membership, or forget the membership when the filter is
// nil.
func (h *Hub) SetMember(s *Sink, group netip.Addr, ifindex uint32, f *SourceFilter) {
	if s.receiver == nil {
		return
	}
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	h.ports.update(s.local.Port(), func(t *portTable) { t.setMember(s, group.As16(), ifindex, f) })
}

// AddGroup makes the programs of the interface redirect the group's datagrams to the sink's port.
func (h *Hub) AddGroup(s *Sink, group netip.Addr, ifindex uint32) PortEntry {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	if s.receiver == nil {
		return PortEntry{}
	}
	return h.addKeyLocked(bpf.Key{Addr: group, Port: s.local.Port()}, 0, ifindex)
}

// RemoveGroup undoes AddGroup.
func (h *Hub) RemoveGroup(e PortEntry) {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	h.removeKeyLocked(e)
}

// bars reports whether the host's rules keep the sockets of a key from getting all of what the program would bring them, or others
// are to get it, too. Then the kernel gets it, and the companion socket what the kernel lets through.
func (in *Intake) bars(key bpf.Key) bool {
	rules, id := in.Hub.Rules, in.identity.Load()
	if addr := key.Addr.As16(); id.shared && id.castOf(&addr) != wsk.Unicast {
		return true
	}
	return rules != nil && (id.inVRF || rules.Policies().Restricts(netip.AddrPortFrom(key.Addr, key.Port)))
}
