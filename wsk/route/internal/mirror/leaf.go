// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// route is one route of a prefix.
type route struct {
	hop    uint32 // number of its hop
	metric uint32
	tos    uint8
	typ    uint8 // RTN_*
	// sourced: an IPv6 route for a range of sources.
	sourced bool
}

// leaf is the routes of one prefix in the order in which the kernel looks at them. Leaves with the same content are
// one.
type leaf struct {
	routes []route
	// sourced: one of them is for a range of sources. Those that are not don't count then for other sources, whatever
	// their metric.
	sourced bool
	// plain: there is one, a unicast route that counts whatever TOS and source.
	plain bool
	uses  int // prefixes that have it; of the model alone
}

func newLeaf(list []route) *leaf {
	sourced := slices.ContainsFunc(list, func(r route) bool { return r.sourced })
	plain := len(list) == 1 && !sourced && list[0].tos == 0 && list[0].typ == unix.RTN_UNICAST
	return &leaf{routes: slices.Clone(list), sourced: sourced, plain: plain}
}

// before is the kernel's order: IPv4 by TOS first, the larger before, then by metric; IPv6 has no TOS.
func (r route) before(o route) bool {
	if r.tos != o.tos {
		return r.tos > o.tos
	}
	return r.metric < o.metric
}

func (r route) ties(o route) bool { return r.tos == o.tos && r.metric == o.metric }

// insert adds r behind the routes that it ties with, or before them.
func insert(list []route, r route, behind bool) []route {
	i := 0
	for i < len(list) && (list[i].before(r) || behind && list[i].ties(r)) {
		i++
	}
	return slices.Insert(list, i, r)
}

// leaves makes leaves with the same content one.
type leaves struct {
	single map[route]*leaf
	long   map[string]*leaf
	last   *leaf
}

func newLeaves() leaves {
	return leaves{single: map[route]*leaf{}, long: map[string]*leaf{}}
}

// of returns the leaf with these routes, nil for none. The list is copied where it is kept.
func (l *leaves) of(list []route) *leaf {
	switch len(list) {
	case 0:
		return nil
	case 1:
		if l.last != nil && l.last.routes[0] == list[0] {
			return l.last
		}
		f := l.single[list[0]]
		if f == nil {
			f = newLeaf(list)
			l.single[list[0]] = f
		}
		l.last = f
		return f
	}
	key := content(list)
	f := l.long[key]
	if f == nil {
		f = newLeaf(list)
		l.long[key] = f
	}
	return f
}

func (l *leaves) drop(f *leaf) {
	if l.last == f {
		l.last = nil
	}
	if len(f.routes) == 1 {
		delete(l.single, f.routes[0])
	} else {
		delete(l.long, content(f.routes))
	}
}

func content(list []route) string {
	b := make([]byte, 0, 11*len(list))
	for _, r := range list {
		b = binary.NativeEndian.AppendUint32(b, r.hop)
		b = binary.NativeEndian.AppendUint32(b, r.metric)
		sourced := byte(0)
		if r.sourced {
			sourced = 1
		}
		b = append(b, r.tos, r.typ, sourced)
	}
	return string(b)
}
