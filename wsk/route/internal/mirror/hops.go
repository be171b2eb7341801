// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import "slices"

// hops gives each key a number, and each number a Hop as the devices and addresses of now have it.
type hops struct {
	ids  map[key]uint32
	keys []key // by number
	uses []int // prefixes with a route of this number
	free []uint32
	// removed are numbers whose routes the kernel has taken out without a word; their keys have no number any more.
	removed []bool

	pages  pages  // what the next snapshot has
	shared []bool // pages that a snapshot has

	silent   bool               // since the last snapshot routes were removed of which nothing was said
	changed  bool               // a Hop is another one than in the last snapshot
	stale    bool               // a Hop may be another one now: all are
	staleDev map[int]struct{}   // those of these devices
	fresh    []uint32           // new numbers
	garbage  int                // prefixes with routes that are gone
	gateways map[gatewayKey]int // IPv6 gateways, each with the hops that have it
	// mixed: a route (IPv4, IPv6) by a next hop object has a metric or source of its own. The kernel keeps the ready
	// answer with the object, so that other routes by it get that too, now and then.
	mixed [2]bool

	last     key
	lastID   uint32
	haveLast bool
}

func newHops() hops {
	return hops{ids: map[key]uint32{}, staleDev: map[int]struct{}{}, gateways: map[gatewayKey]int{}}
}

// intern is the number of a key.
func (h *hops) intern(k *key) uint32 {
	if h.haveLast && h.last == *k {
		return h.lastID
	}
	id, ok := h.ids[*k]
	if !ok {
		id = h.add(k)
	}
	h.last, h.lastID, h.haveLast = *k, id, true
	return id
}

func (h *hops) add(k *key) uint32 {
	id := uint32(len(h.keys))
	if n := len(h.free); n > 0 {
		id, h.free = h.free[n-1], h.free[:n-1]
		h.keys[id], h.removed[id] = *k, false
	} else {
		h.keys, h.uses, h.removed = append(h.keys, *k), append(h.uses, 0), append(h.removed, false)
	}
	h.ids[*k] = id
	h.fresh = append(h.fresh, id)
	if k.gateway.Is6() {
		h.gateways[gatewayKey{k.device, k.gateway}]++
	}
	if k.object != 0 && (k.mtu != 0 || k.six && k.source.IsValid()) {
		h.mixed[family46(k.six)], h.stale = true, true
	}
	return id
}

func (h *hops) gone(id uint32) bool { return h.removed[id] }

// use counts the prefixes; a number that none has any more is free.
func (h *hops) use(id uint32, n int) {
	h.uses[id] += n
	if h.removed[id] {
		h.garbage += n
	}
	if h.uses[id] > 0 {
		return
	}
	h.forget(id)
	h.free = append(h.free, id)
}

// forget takes the number from its key.
func (h *hops) forget(id uint32) {
	k := &h.keys[id]
	if h.removed[id] {
		return
	}
	delete(h.ids, *k)
	h.haveLast = false
	if k.gateway.Is6() {
		g := gatewayKey{k.device, k.gateway}
		if h.gateways[g]--; h.gateways[g] <= 0 {
			delete(h.gateways, g)
		}
	}
}

// remove notes that the kernel has taken out all routes of a number.
func (h *hops) remove(id uint32) {
	h.forget(id)
	h.removed[id], h.silent = true, true
	h.garbage += h.uses[id]
	h.put(id, goneHop)
}

// put gives a number its Hop.
func (h *hops) put(id uint32, hop *Hop) {
	h.changed = true
	p := int(id / pageSize)
	for p >= len(h.pages) {
		h.pages, h.shared = append(h.pages, make([]*Hop, pageSize)), append(h.shared, false)
	}
	if h.shared[p] {
		h.pages[p], h.shared[p] = slices.Clone(h.pages[p]), false
	}
	h.pages[p][id%pageSize] = hop
}

// snapshot is the pages as they are now.
func (h *hops) snapshot() pages {
	for i := range h.shared {
		h.shared[i] = true
	}
	return slices.Clone(h.pages)
}

// settle makes the Hops that may be others now. Those that have stayed the same keep their identity.
func (h *hops) settle(make func(*key) *Hop) {
	again := func(id uint32) {
		if h.removed[id] || h.uses[id] == 0 {
			return
		}
		now := make(&h.keys[id])
		if p := int(id / pageSize); p < len(h.pages) {
			if was := h.pages[p][id%pageSize]; was != nil && was.equal(now) {
				return
			}
		}
		now.number()
		h.put(id, now)
	}
	switch {
	case h.stale:
		for id := range h.keys {
			again(uint32(id))
		}
	default:
		for _, id := range h.fresh {
			again(id)
		}
		if len(h.staleDev) > 0 {
			for id := range h.keys {
				if _, ok := h.staleDev[h.keys[id].device]; ok {
					again(uint32(id))
				}
			}
		}
	}
	h.stale, h.fresh = false, h.fresh[:0]
	clear(h.staleDev)
}
