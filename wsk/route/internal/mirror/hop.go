// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"net/netip"
	"slices"
	"sync/atomic"
)

// Hop is where a route leads now. It never changes; the same pointer means that nothing of it has changed.
type Hop struct {
	Interface int
	Gateway   netip.Addr // of either family; invalid when the destination is on the link
	MTU       int        // the route's metric, 0 for none

	// Number is unlike that of any other Hop there ever was, and not 0.
	Number uint64

	// source is what the kernel sends from when the socket has no source, linkSource the same for link-local
	// destinations (IPv6). Invalid: it must be asked.
	source, linkSource netip.Addr

	ask Reason // why destinations by this hop must be asked about
	// gone: the kernel has removed the route without a word; it is as if it weren't there.
	gone   bool
	object bool   // of a next hop object
	legs   []*Hop // of an IPv4 multipath route
}

var goneHop = &Hop{gone: true}

var lastHop atomic.Uint64

// number gives a fresh Hop, and those in it, their numbers.
func (h *Hop) number() {
	h.Number = lastHop.Add(1)
	for _, l := range h.legs {
		l.number()
	}
}

func (h *Hop) equal(o *Hop) bool {
	return h.Interface == o.Interface && h.Gateway == o.Gateway && h.MTU == o.MTU && h.source == o.source &&
		h.linkSource == o.linkSource && h.ask == o.ask && h.gone == o.gone && h.object == o.object &&
		slices.EqualFunc(h.legs, o.legs, (*Hop).equal)
}

// leg is the one next hop of a multipath route by a device; ask says otherwise that there are several. Neither: there
// is none.
func (h *Hop) leg(device int) (leg *Hop, ask Reason) {
	for _, l := range h.legs {
		if l.Interface != device {
			continue
		}
		if leg != nil {
			return nil, Multipath
		}
		leg = l
	}
	return leg, Answered
}

// pages holds a Hop for each number. A copy shares the pages that have not changed.
type pages [][]*Hop

const pageSize = 64

func (p pages) at(id uint32) *Hop { return p[id/pageSize][id%pageSize] }
