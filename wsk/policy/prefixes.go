// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// entry is a line of destination, receive_from or multicast.
type entry struct {
	prefix netip.Prefix
	ports  []portRange
}

// table answers whether one of its entries covers an address and a port.
type table struct {
	prefixes bart.Fast[uint32] // places in sets: small values make look-ups faster
	sets     []ports
}

// makeTable gives each prefix the ports of all entries that cover it, so that the longest prefix of an address knows
// all of its ports.
func makeTable(entries []entry) *table {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.prefix.Bits(), b.prefix.Bits()) })
	t := new(table)
	for _, e := range entries {
		set := e.ports
		if wider, ok := t.prefixes.LookupPrefix(e.prefix); ok {
			set = slices.Concat(t.sets[wider], set)
		}
		t.prefixes.Insert(e.prefix, uint32(len(t.sets)))
		t.sets = append(t.sets, makePorts(set))
	}
	return t
}

func (t *table) has(addr netip.Addr, port uint16) bool {
	place, ok := t.prefixes.Lookup(addr)
	return ok && t.sets[place].has(port)
}

// hasSome says that the table has at least one port of the address.
func (t *table) hasSome(addr netip.Addr) bool { return t.prefixes.Contains(addr) }

// parseEntry reads PREFIX[:PORTS].
func parseEntry(text string) (entry, error) {
	prefix, list := splitPorts(text)
	p, err := parsePrefix(prefix)
	if err != nil {
		return entry{}, err
	}
	e := entry{p, allPorts}
	if list != "" {
		e.ports, err = parsePorts(list[1:])
	}
	return e, err
}

// splitPorts cuts the colon and what is behind it off an entry, if it has ports.
func splitPorts(text string) (prefix, list string) {
	from := 0
	switch slash, bracket := strings.IndexByte(text, '/'), strings.IndexByte(text, ']'); {
	case slash >= 0:
		from = slash
	case bracket >= 0:
		return strings.TrimPrefix(text[:bracket], "["), text[bracket+1:]
	case strings.Count(text, ":") > 1:
		return text, "" // an IPv6 address
	}
	if colon := strings.IndexByte(text[from:], ':'); colon >= 0 {
		return text[:from+colon], text[from+colon:]
	}
	return text, ""
}

// parsePrefix reads an address or a prefix.
func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if !strings.Contains(text, "/") {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(text); addr.Zone() != "" {
			return p, fmt.Errorf("%q has a zone: interfaces are named in interface", text)
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is not an address or a prefix", text)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q is an IPv4 address in an IPv6 one: write it as IPv4", text)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits behind the prefix: write %s", text, p.Masked())
	}
	return p, nil
}

// Prefixes that need more than to be covered.
var (
	loopback4  = netip.MustParsePrefix("127.0.0.0/8")
	loopback6  = netip.MustParsePrefix("::1/128")
	linkLocal4 = netip.MustParsePrefix("169.254.0.0/16")
	linkLocal6 = netip.MustParsePrefix("fe80::/10")
	multicast4 = netip.MustParsePrefix("224.0.0.0/4")
	multicast6 = netip.MustParsePrefix("ff00::/8")
	broadcast4 = netip.MustParsePrefix("255.255.255.255/32")
)

// within says that a prefix has no address outside of some others.
func within(p netip.Prefix, others ...netip.Prefix) bool {
	return slices.ContainsFunc(others, func(o netip.Prefix) bool { return p.Bits() >= o.Bits() && o.Contains(p.Addr()) })
}
