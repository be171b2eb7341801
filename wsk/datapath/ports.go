// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// portEntry is an entry of the XDP programs that an endpoint holds. Endpoints that share an address share the key.
type portEntry struct {
	key     bpf.Key
	flags   bpf.Flags
	ifindex uint32 // 0: any interface
	intakes []*intake
}

// register makes an endpoint known to the receive queues and its port to the programs. Nothing is redirected for a socket
// that nobody reads from.
func (dp *Datapath) register(ep *endpoint) {
	if ep.receiver == nil {
		return
	}
	b := boundAs(ep, ep.local.Addr(), ep.dual)
	port := ep.local.Port()
	dp.portsMu.Lock()
	defer dp.portsMu.Unlock()
	dp.demux.update(port, func(t *portTable) { t.insert(b) })
	a := ipaddr.Addr(b.addr)
	switch {
	case b.specific() && (a.IsLoopback() || a.IsMulticast()):
		// Loopback never comes from the wire; a group comes with its membership.
	case b.specific():
		ep.entries = append(ep.entries, dp.addKeyLocked(bpf.Key{Addr: a, Port: port}, 0, b.scope))
	default:
		if b.any4 {
			key := bpf.Key{Addr: netip.IPv4Unspecified(), Port: port}
			ep.entries = append(ep.entries, dp.addKeyLocked(key, bpf.MatchBroadcast, 0))
		}
		if b.any6 {
			key := bpf.Key{Addr: netip.IPv6Unspecified(), Port: port}
			ep.entries = append(ep.entries, dp.addKeyLocked(key, 0, 0))
		}
	}
}

// unregister takes an endpoint out again: when it returns, frames of its port go to the kernel, and the receive queues
// don't know it (I12).
func (dp *Datapath) unregister(ep *endpoint) {
	dp.portsMu.Lock()
	defer dp.portsMu.Unlock()
	for _, e := range ep.entries {
		dp.removeKeyLocked(e)
	}
	ep.entries = nil
	dp.demux.update(ep.local.Port(), func(t *portTable) { t.remove(ep) })
}

// addKeyLocked enters a key into the program of every interface that serves ifindex. A program that is full passes the
// frames to the kernel, and so to the companion socket.
func (dp *Datapath) addKeyLocked(key bpf.Key, flags bpf.Flags, ifindex uint32) portEntry {
	e := portEntry{key: key, flags: flags, ifindex: ifindex}
	for _, in := range dp.intakes {
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
		if err := in.prog.AddPort(e.key, e.flags); err != nil {
			in.dp.log.Warn("enter a port into the XDP program; it receives through the kernel's stack", "interface", in.name,
				"port", e.key, "err", err)
			return
		}
	}
	in.refs[e.key]++
	e.intakes = append(e.intakes, in)
}

// adoptIntake makes a new intake known, with the ports of all endpoints, unless it has been closed. Memberships went with the
// device before it.
func (dp *Datapath) adoptIntake(in *intake) bool {
	dp.portsMu.Lock()
	defer dp.portsMu.Unlock()
	if in.isClosed() {
		return false
	}
	dp.intakes = append(dp.intakes, in)
	for _, ep := range dp.endpointList() {
		for i := range ep.entries {
			ep.entries[i].addLocked(in)
		}
	}
	return true
}

func (dp *Datapath) removeKeyLocked(e portEntry) {
	for _, in := range e.intakes {
		if in.refs[e.key]--; in.refs[e.key] > 0 {
			continue
		}
		delete(in.refs, e.key)
		if err := in.prog.RemovePort(e.key); err != nil {
			dp.log.Debug("take a port out of the XDP program", "interface", in.name, "port", e.key, "err", err)
		}
	}
}
