// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"math"
	"net/netip"

	"github.com/gaissmai/bart"
)

func (p *parser) grant(path, name string, f *fileAllow) *Grant {
	g := &Grant{
		Name:      name,
		Limits:    p.limits(path, p.defaults, &f.fileLimits),
		reuse:     f.Reuse,
		local:     f.Local,
		linkLocal: f.LinkLocal,
		broadcast: f.Broadcast,
		dscp:      math.MaxUint64,
		ttlMax:    uint8(p.number(path+".ttl_max", f.TTLMax, 255, 1, 255)),
	}
	g.interfaces = p.grantedInterfaces(path, f.Interface)
	p.grantSources(path, f, g)
	p.grantDestinations(path, f, g)
	if f.DSCP != nil {
		g.dscp = 0
		for i, value := range *f.DSCP {
			g.dscp |= 1 << p.number(fmt.Sprintf("%s.dscp[%d]", path, i), &value, 0, 0, 63)
		}
		if g.dscp == 0 {
			p.at(path+".dscp", "the list is empty, so no datagram could leave")
		}
	}
	p.addUp(path, &g.Limits, len(f.Multicast) > 0)
	return g
}

// addUp holds the sums of all grants to what the host has.
func (p *parser) addUp(path string, l *Limits, joins bool) {
	memory := p.memory + l.Memory
	if p.host.MaxMemory > 0 && (memory > p.host.MaxMemory || memory < p.memory) {
		p.at(path+".memory", "the memory of all grants is more than the daemon's %d bytes", p.host.MaxMemory)
	} else {
		p.memory = memory
	}
	if p.files += l.files(joins); p.host.MaxFiles > 0 && p.files > p.host.MaxFiles {
		p.at(path+".sockets", "with the sessions, sockets and memberships of this grant all grants need %d descriptors, and the daemon has %d for them",
			p.files, p.host.MaxFiles)
	}
}

// files is how many descriptors the clients of a grant can make the daemon open: for each session its connection, for each
// socket one in the kernel, and for each group one more that is bound to it.
func (l *Limits) files(joins bool) int {
	n := l.Sessions + l.Sockets
	if joins {
		n += l.Memberships
	}
	return n
}

func (p *parser) grantedInterfaces(path string, names *[]string) uint64 {
	if len(p.interfaces) == 0 {
		p.at(path, "the file has no [interface.NAME], so nothing could leave")
		return 0
	}
	if names == nil {
		return math.MaxUint64 >> (64 - min(len(p.interfaces), maxInterfaces))
	}
	if len(*names) == 0 {
		p.at(path+".interface", "the list is empty, so nothing could leave")
	}
	var set uint64
	for i, name := range *names {
		place, ok := p.interfaces[name]
		if !ok {
			p.at(fmt.Sprintf("%s.interface[%d]", path, i), "the file has no [interface.%s]", name)
			continue
		}
		set |= 1 << place
	}
	return set
}

// grantSources reads source and source_port.
func (p *parser) grantSources(path string, f *fileAllow, g *Grant) {
	g.sources = new(bart.Fast[struct{}])
	source, port := []string{"interface"}, []string{"ephemeral"}
	if f.Source != nil {
		source = *f.Source
	}
	if f.SourcePort != nil {
		port = *f.SourcePort
	}
	if len(source) == 0 {
		p.at(path+".source", "the list is empty, so no socket could be bound")
	}
	if len(port) == 0 {
		p.at(path+".source_port", "the list is empty, so no socket could be bound")
	}
	for i, text := range source {
		if text == "interface" {
			g.ofInterface = true
			continue
		}
		prefix, err := parsePrefix(text)
		if err != nil {
			p.at(fmt.Sprintf("%s.source[%d]", path, i), "%v", err)
			continue
		}
		g.sources.Insert(prefix, struct{}{})
	}
	var ranges []portRange
	for i, text := range port {
		at := fmt.Sprintf("%s.source_port[%d]", path, i)
		if text == "ephemeral" {
			ranges = append(ranges, ephemeral)
			continue
		}
		r, err := parseRange(text)
		switch {
		case err != nil:
			p.at(at, "%v", err)
		case r.first < 1024 && !f.PrivilegedPorts:
			p.at(at, "%s has ports below 1024, which need privileged_ports = true", text)
		}
		ranges = append(ranges, r)
	}
	g.sourcePorts = makePorts(ranges)
}

// grantDestinations reads destination, receive_from and multicast.
func (p *parser) grantDestinations(path string, f *fileAllow, g *Grant) {
	if f.Destination == nil {
		p.at(path+".destination", "destination is missing: name the prefixes, or write [] to grant none")
		return
	}
	destinations := p.entries(path+".destination", *f.Destination, func(prefix netip.Prefix) error {
		switch {
		case within(prefix, multicast4, multicast6):
			return fmt.Errorf("%s is multicast: name it in multicast", prefix)
		case within(prefix, loopback4, loopback6) && !f.Local:
			return fmt.Errorf("%s is loopback, which needs local = true", prefix)
		case within(prefix, linkLocal4, linkLocal6) && !f.LinkLocal:
			return fmt.Errorf("%s is link-local, which needs link_local = true", prefix)
		case within(prefix, broadcast4) && !f.Broadcast:
			return fmt.Errorf("%s is broadcast, which needs broadcast = true", prefix)
		}
		return nil
	})
	multicast := p.entries(path+".multicast", f.Multicast, func(prefix netip.Prefix) error {
		if !within(prefix, multicast4, multicast6) {
			return fmt.Errorf("%s is not multicast: name it in destination", prefix)
		}
		return nil
	})
	receive := destinations
	if f.ReceiveFrom != nil {
		receive = p.entries(path+".receive_from", *f.ReceiveFrom, func(prefix netip.Prefix) error {
			if within(prefix, multicast4, multicast6, broadcast4) {
				return fmt.Errorf("nothing is received from %s: groups to join are in multicast", prefix)
			}
			return nil
		})
	}
	if len(*f.Destination) == 0 && len(f.Multicast) == 0 && len(receive) == 0 {
		p.at(path+".destination", "the grant allows neither to send nor to receive")
	}
	g.destinations, g.multicast, g.receiveFrom = makeTable(destinations), makeTable(multicast), makeTable(receive)
}

// entries reads a list of PREFIX[:PORTS] and holds the prefixes to a check.
func (p *parser) entries(path string, list []string, check func(netip.Prefix) error) []entry {
	var entries []entry
	for i, text := range list {
		e, err := parseEntry(text)
		if err == nil {
			err = check(e.prefix)
		}
		if err != nil {
			p.at(fmt.Sprintf("%s[%d]", path, i), "%v", err)
			continue
		}
		entries = append(entries, e)
	}
	return entries
}
