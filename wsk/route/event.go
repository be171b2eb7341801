// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"fmt"
	"net/netip"
	"sync"
)

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	// LinkAdded: a device appeared. LinkUp and Carrier follow if it is already up.
	LinkAdded EventKind = iota + 1
	// LinkUp and LinkDown: the device was set up or down by the administrator.
	LinkUp
	LinkDown
	// Carrier: the device has got or lost its carrier (Event.Carrier).
	Carrier
	// LinkDeleted: the device is gone, or has moved to another namespace.
	LinkDeleted
	// LinkChanged: something else of the device is not what it was: name, MAC address, MTU, the device below or above it.
	LinkChanged
	// AddressesChanged: an address of Event.Interface came, went, or became usable.
	AddressesChanged
	// NeighbourChanged: a neighbour in use has another MAC, has become usable, or is usable no longer.
	NeighbourChanged
	// Resynced: events were lost and the whole table was read again. What differs was reported before this one, but
	// something may have changed and changed back unseen (a link down and up).
	Resynced
	// PoliciesChanged: other IPsec policies apply than before (Table.Policies).
	PoliciesChanged
	// ReversePathChanged: rp_filter of Event.Interface is another one, or of all devices when that is 0.
	ReversePathChanged
	// PathsChanged: answers of Resolve from before may be wrong now: routes, rules or what they depend on have changed.
	PathsChanged
)

var eventNames = [...]string{
	LinkAdded: "link added", LinkUp: "link up", LinkDown: "link down", Carrier: "carrier", LinkDeleted: "link deleted",
	LinkChanged: "link changed", AddressesChanged: "addresses changed", NeighbourChanged: "neighbour changed", Resynced: "resynced",
	PoliciesChanged: "policies changed", ReversePathChanged: "reverse path changed",
	PathsChanged: "paths changed",
}

func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event is one change. The snapshot and the generation already include it when a subscriber hears of it.
type Event struct {
	Kind      EventKind
	Interface int        // index of the device; 0 for Resynced, PoliciesChanged and PathsChanged
	Name      string     // its name, for the link events
	Carrier   bool       // Carrier only
	Neighbour netip.Addr // NeighbourChanged only
	MAC       [6]byte    // NeighbourChanged only, when Usable
	Usable    bool       // NeighbourChanged only
}

// subscribers is the list of callbacks.
type subscribers struct {
	mu   sync.Mutex
	next uint64
	list []subscriber // replaced, never changed in place
}

type subscriber struct {
	id uint64
	fn func(Event)
}

func (s *subscribers) add(fn func(Event)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	id := s.next
	s.list = append(s.list[:len(s.list):len(s.list)], subscriber{id, fn})
	return func() { s.remove(id) }
}

func (s *subscribers) remove(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rest []subscriber
	for _, sub := range s.list {
		if sub.id != id {
			rest = append(rest, sub)
		}
	}
	s.list = rest
}

func (s *subscribers) deliver(events []Event) {
	for _, e := range events {
		s.mu.Lock()
		list := s.list
		s.mu.Unlock()
		for _, sub := range list {
			sub.fn(e)
		}
	}
}
