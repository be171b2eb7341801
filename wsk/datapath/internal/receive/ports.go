// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// PortEntry is an entry of the XDP programs that a sink holds. Sinks that share an address share the key.
type PortEntry struct {
	key     bpf.Key
	flags   bpf.Flags
	ifindex uint32 // 0: any interface
	Intakes []*Intake
}

// Register makes a sink known to the receive queues and its port to the programs. Nothing is redirected for a socket
// that nobody reads from.
func (h *Hub) Register(s *Sink) {
	if s.Receiver == nil {
		return
	}
	b := BindingOf(s, s.Local.Addr(), s.Dual)
	port := s.Local.Port()
	h.PortsMu.Lock()
	defer h.PortsMu.Unlock()
	h.Demux.Update(port, func(t *PortTable) { t.Insert(b) })
	h.Sinks[s] = struct{}{}
	a := ipaddr.Addr(b.addr)
	switch {
	case b.specific() && (a.IsLoopback() || a.IsMulticast()):
		// Loopback never comes from the wire; a group comes with its membership.
	case b.specific():
		s.entries = append(s.entries, h.addKeyLocked(bpf.Key{Addr: a, Port: port}, 0, b.scope))
	default:
		if b.Any4 {
			key := bpf.Key{Addr: netip.IPv4Unspecified(), Port: port}
			s.entries = append(s.entries, h.addKeyLocked(key, bpf.MatchBroadcast, 0))
		}
		if b.Any6 {
			key := bpf.Key{Addr: netip.IPv6Unspecified(), Port: port}
			s.entries = append(s.entries, h.addKeyLocked(key, 0, 0))
		}
	}
}

// Unregister takes a sink out again: when it returns, frames of its port go to the kernel, and the receive queues
// don't know it (I12).
func (h *Hub) Unregister(s *Sink) {
	h.PortsMu.Lock()
	defer h.PortsMu.Unlock()
	for _, e := range s.entries {
		h.removeKeyLocked(e)
	}
	s.entries = nil
	delete(h.Sinks, s)
	h.Demux.Update(s.Local.Port(), func(t *PortTable) { t.remove(s) })
}

// addKeyLocked enters a key into the program of every interface that serves ifindex. A program that is full passes the
// frames to the kernel, and so to the companion socket.
func (h *Hub) addKeyLocked(key bpf.Key, flags bpf.Flags, ifindex uint32) PortEntry {
	e := PortEntry{key: key, flags: flags, ifindex: ifindex}
	for _, in := range h.Intakes {
		e.addLocked(in)
	}
	return e
}

// addLocked enters the key into one program if its interface serves it.
func (e *PortEntry) addLocked(in *Intake) {
	if !in.Arrivals.Load().Serves(e.ifindex) {
		return
	}
	if in.Refs[e.key] == 0 {
		lockrank.AssertMay(locks.Ask, "to write the ports of a program")
		if err := in.Prog.AddPort(e.key, e.flags); err != nil {
			in.Hub.Log.Warn("enter a port into the XDP program; it receives through the kernel's stack", "interface", in.Name,
				"port", e.key, "err", err)
			return
		}
	}
	in.Refs[e.key]++
	e.Intakes = append(e.Intakes, in)
}

// Adopt makes a new intake known, with the ports of all sinks, unless closed says that it has ended. Memberships went with the
// device before it.
func (h *Hub) Adopt(in *Intake, closed func() bool) bool {
	h.PortsMu.Lock()
	defer h.PortsMu.Unlock()
	if closed() {
		return false
	}
	h.Intakes = append(h.Intakes, in)
	for s := range h.Sinks {
		for i := range s.entries {
			s.entries[i].addLocked(in)
		}
	}
	return true
}

func (h *Hub) removeKeyLocked(e PortEntry) {
	for _, in := range e.Intakes {
		if in.Refs[e.key]--; in.Refs[e.key] > 0 {
			continue
		}
		delete(in.Refs, e.key)
		lockrank.AssertMay(locks.Ask, "to write the ports of a program")
		if err := in.Prog.RemovePort(e.key); err != nil {
			h.Log.Debug("take a port out of the XDP program", "interface", in.Name, "port", e.key, "err", err)
		}
	}
}

// SetMember makes the receive queues go by a filter, or forget the membership when it is nil.
func (h *Hub) SetMember(s *Sink, group netip.Addr, ifindex uint32, f *SourceFilter) {
	if s.Receiver == nil {
		return
	}
	h.PortsMu.Lock()
	defer h.PortsMu.Unlock()
	h.Demux.Update(s.Local.Port(), func(t *PortTable) { t.setMember(s, group.As16(), ifindex, f) })
}

// AddGroup makes the programs of the interface redirect the group's datagrams to the sink's port.
func (h *Hub) AddGroup(s *Sink, group netip.Addr, ifindex uint32) PortEntry {
	h.PortsMu.Lock()
	defer h.PortsMu.Unlock()
	if s.Receiver == nil {
		return PortEntry{}
	}
	return h.addKeyLocked(bpf.Key{Addr: group, Port: s.Local.Port()}, 0, ifindex)
}

func (h *Hub) RemoveGroup(e PortEntry) {
	h.PortsMu.Lock()
	defer h.PortsMu.Unlock()
	h.removeKeyLocked(e)
}
