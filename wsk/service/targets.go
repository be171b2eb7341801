// SPDX-License-Identifier: Apache-2.0

package service

import (
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// target is a destination of a socket. That there is one says that its fields are sound.
type target struct {
	to   wsk.Destination
	busy atomic.Int32 // datagrams that wait or are under way
	// state says what became of the last datagram: until one has arrived each may cost the transport a look-up.
	state atomic.Uint32

	newer, older *target
}

// used counts n more datagrams that wait or are under way. nil is no target.
func (t *target) used(n int32) {
	if n != 0 {
		t.busy.Add(n)
	}
}

const (
	targetNew uint32 = iota
	targetReached
	targetFailed
)

// targets are the destinations that a socket uses, the last used ones first. They belong to the goroutine that reads
// the session's messages, and to the end of the socket after that.
type targets struct {
	all    map[wsk.Destination]*target
	newest *target
	oldest *target
}

// find returns the target of a datagram, or why there is none. in is a target that entries are for which have not been
// counted there yet; nil is none.
func (k *socket) find(to *wsk.Destination, in *target) (*target, wsk.NTSTATUS, ipc.Reason) {
	ts := &k.targets
	t := ts.newest
	if t == nil || t.to != *to {
		if t = ts.all[*to]; t == nil {
			return k.insert(to, in)
		}
		ts.unlink(t)
		ts.link(t)
	}
	if t.state.Load() == targetFailed {
		if !k.quota.Grant().TakeNewcomer() {
			return nil, wsk.STATUS_INSUFFICIENT_RESOURCES, ipc.ReasonDestinations
		}
		t.state.CompareAndSwap(targetFailed, targetNew)
	}
	return t, wsk.STATUS_SUCCESS, ipc.ReasonNone
}

// insert makes a target of a sound destination, if the grant's limits have room for it.
func (k *socket) insert(to *wsk.Destination, in *target) (*target, wsk.NTSTATUS, ipc.Reason) {
	if status := k.valid(to); status != wsk.STATUS_SUCCESS {
		reason := ipc.ReasonNone
		if status == wsk.STATUS_ACCESS_DENIED {
			reason = ipc.ReasonBroadcast
		}
		return nil, status, reason
	}
	ts := &k.targets
	if !k.quota.Grant().TakeNewcomer() || !k.quota.TakeDestination() && !k.dropOldest(in) {
		return nil, wsk.STATUS_INSUFFICIENT_RESOURCES, ipc.ReasonDestinations
	}
	if ts.all == nil {
		ts.all = make(map[wsk.Destination]*target)
	}
	t := &target{to: *to}
	ts.all[*to] = t
	ts.link(t)
	return t, wsk.STATUS_SUCCESS, ipc.ReasonNone
}

// valid says whether the socket could send to a destination at all.
func (k *socket) valid(to *wsk.Destination) wsk.NTSTATUS {
	if k.family == wsk.AF_INET6 && !k.dual && to.Is4() {
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	}
	return wsk.ValidDestination(k.family, to)
}

// dropOldest makes room for another destination by forgetting the one that was not used for the longest time. It
// reports false when that one is in use, or is in.
func (k *socket) dropOldest(in *target) bool {
	ts := &k.targets
	t := ts.oldest
	if t == nil || t == in || t.busy.Load() != 0 {
		return false
	}
	ts.unlink(t)
	delete(ts.all, t.to)
	return true
}

func (ts *targets) link(t *target) {
	t.older, t.newer = ts.newest, nil
	if ts.newest != nil {
		ts.newest.newer = t
	} else {
		ts.oldest = t
	}
	ts.newest = t
}

func (ts *targets) unlink(t *target) {
	if t.newer != nil {
		t.newer.older = t.older
	} else {
		ts.newest = t.older
	}
	if t.older != nil {
		t.older.newer = t.newer
	} else {
		ts.oldest = t.newer
	}
}

// clear forgets all, and answers how many there were.
func (ts *targets) clear() int {
	n := len(ts.all)
	*ts = targets{}
	return n
}
