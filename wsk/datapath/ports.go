// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// portEntry is an entry of the XDP programs that a sink holds. Sinks that share an address share the key.
type portEntry struct {
	key     bpf.Key
	flags   bpf.Flags
	ifindex uint32 // 0: any interface
	intakes []*intake
}

// register makes a sink known to the receive queues and its port to the programs. Nothing is redirected for a socket
// that nobody reads from.
func (h *hub) register(s *sink) {
	if s.receiver == nil {
		return
	}
	b := boundAs(s, s.local.Addr(), s.dual)
	port := s.local.Port()
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	h.demux.update(port, func(t *portTable) { t.insert(b) })
	h.sinks[s] = struct{}{}
	a := ipaddr.Addr(b.addr)
	switch {
	case b.specific() && (a.IsLoopback() || a.IsMulticast()):
		// Loopback never comes from the wire; a group comes with its membership.
	case b.specific():
		s.entries = append(s.entries, h.addKeyLocked(bpf.Key{Addr: a, Port: port}, 0, b.scope))
	default:
		if b.any4 {
			key := bpf.Key{Addr: netip.IPv4Unspecified(), Port: port}
			s.entries = append(s.entries, h.addKeyLocked(key, bpf.MatchBroadcast, 0))
		}
		if b.any6 {
			key := bpf.Key{Addr: netip.IPv6Unspecified(), Port: port}
			s.entries = append(s.entries, h.addKeyLocked(key, 0, 0))
		}
	}
}

// unregister takes a sink out again: when it returns, frames of its port go to the kernel, and the receive queues
// don't know it (I12).
func (h *hub) unregister(s *sink) {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	for _, e := range s.entries {
		h.removeKeyLocked(e)
	}
	s.entries = nil
	delete(h.sinks, s)
	h.demux.update(s.local.Port(), func(t *portTable) { t.remove(s) })
}

// addKeyLocked enters a key into the program of every interface that serves ifindex. A program that is full passes the
// frames to the kernel, and so to the companion socket.
func (h *hub) addKeyLocked(key bpf.Key, flags bpf.Flags, ifindex uint32) portEntry {
	e := portEntry{key: key, flags: flags, ifindex: ifindex}
	for _, in := range h.intakes {
		e.addLocked(in)
	}
	return e
}

// addLocked enters the key into one program if its interface serves it.
func (e *portEntry) addLocked(in *intake) {
	if !in.arrivals.Load().serves(e.ifindex) {
		return
	}
	if in.refs[e.key] == 0 {
		lockrank.AssertMay(locks.Ask, "to write the ports of a program")
		if err := in.prog.AddPort(e.key, e.flags); err != nil {
			in.hub.log.Warn("enter a port into the XDP program; it receives through the kernel's stack", "interface", in.name,
				"port", e.key, "err", err)
			return
		}
	}
	in.refs[e.key]++
	e.intakes = append(e.intakes, in)
}

// adopt makes a new intake known, with the ports of all sinks, unless closed says that it has ended. Memberships went with the
// device before it.
func (h *hub) adopt(in *intake, closed func() bool) bool {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	if closed() {
		return false
	}
	h.intakes = append(h.intakes, in)
	for s := range h.sinks {
		for i := range s.entries {
			s.entries[i].addLocked(in)
		}
	}
	return true
}

func (h *hub) removeKeyLocked(e portEntry) {
	for _, in := range e.intakes {
		if in.refs[e.key]--; in.refs[e.key] > 0 {
			continue
		}
		delete(in.refs, e.key)
		lockrank.AssertMay(locks.Ask, "to write the ports of a program")
		if err := in.prog.RemovePort(e.key); err != nil {
			h.log.Debug("take a port out of the XDP program", "interface", in.name, "port", e.key, "err", err)
		}
	}
}

// setMember makes the receive queues go by a filter, or forget the membership when it is nil.
func (h *hub) setMember(s *sink, group netip.Addr, ifindex uint32, f *sourceFilter) {
	if s.receiver == nil {
		return
	}
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	h.demux.update(s.local.Port(), func(t *portTable) { t.setMember(s, group.As16(), ifindex, f) })
}

// addGroup makes the programs of the interface redirect the group's datagrams to the sink's port.
func (h *hub) addGroup(s *sink, group netip.Addr, ifindex uint32) portEntry {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	if s.receiver == nil {
		return portEntry{}
	}
	return h.addKeyLocked(bpf.Key{Addr: group, Port: s.local.Port()}, 0, ifindex)
}

func (h *hub) removeGroup(e portEntry) {
	h.portsMu.Lock()
	defer h.portsMu.Unlock()
	h.removeKeyLocked(e)
}
