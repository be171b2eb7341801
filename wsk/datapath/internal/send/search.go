// SPDX-License-Identifier: Apache-2.0

package send

import (
	"errors"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// maxSearches bounds the searches of a host that are under way, each for one or two kilobytes with its flow. It is what the routing
// table lets wait for neighbours.
const maxSearches = 1 << 16

// errTooManySearches is why a search does not begin. STATUS_INSUFFICIENT_RESOURCES.
var errTooManySearches = errors.New("too many destinations are being looked for")

// errAnotherWay ends the wait of a search for which the routes now say something else.
var errAnotherWay = errors.New("the routes lead another way now")

// search is one look for the way of a flow. It belongs to the goroutine that works at it, or to nobody while it is parked.
type search struct {
	in    *searches
	goOn  func()      // has somebody work at it again
	still func() bool // whether the routes still say what it goes by

	// Guarded by in.mu, but for the goroutine that it belongs to.
	parked bool
	told   bool
	mac    frame.MAC
	err    error
	cancel func() // the wait
}

// searches are those of a host that wait, for a neighbour to answer or for a queue to be opened, and the number of all.
type searches struct {
	limit int // tests: instead of maxSearches
	count atomic.Int64

	mu       lockrank.Mutex[locks.SearchesMu]
	parked   map[*search]struct{}
	checking bool // a goroutine looks whether what is parked still leads where it did
	changed  bool // and has to do so once more
}

// enter counts a search that begins; it reports false where there are too many.
func (all *searches) enter() bool {
	limit := int64(maxSearches)
	if all.limit != 0 {
		limit = int64(all.limit)
	}
	if all.count.Add(1) > limit {
		all.count.Add(-1)
		return false
	}
	return true
}

func (all *searches) leave() { all.count.Add(-1) }

// wait has begin see to it that s is told something. It reports whether that has happened already; otherwise s is parked now, and
// may be at work again on another goroutine before wait returns.
func (s *search) wait(begin func() (cancel func())) (told bool) {
	s.in.mu.Lock()
	s.told, s.err = false, nil
	s.in.mu.Unlock()
	cancel := begin()
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.told {
		return true
	}
	if s.in.parked == nil {
		s.in.parked = make(map[*search]struct{})
	}
	s.in.parked[s] = struct{}{}
	s.parked, s.cancel = true, cancel
	return false
}

// tell brings what s waits for. Only the first word counts.
func (s *search) tell(mac [6]byte, err error) {
	s.in.mu.Lock()
	if s.told {
		s.in.mu.Unlock()
		return
	}
	s.mac, s.err, s.told = mac, err, true
	parked := s.parked
	s.unparkLocked()
	s.in.mu.Unlock()
	if parked {
		s.goOn()
	}
}

// giveUp ends the wait of s with an error, if it waits.
func (s *search) giveUp(err error) {
	s.in.mu.Lock()
	if !s.parked {
		s.in.mu.Unlock()
		return
	}
	s.err, s.told = err, true
	cancel := s.cancel
	s.unparkLocked()
	s.in.mu.Unlock()
	cancel()
	s.goOn()
}

func (s *search) unparkLocked() {
	delete(s.in.parked, s)
	s.parked, s.cancel = false, nil
}

// begin reports whether somebody has to look at what is parked; otherwise nothing is, or somebody is at it and will once more.
func (all *searches) begin() bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.changed = len(all.parked) != 0
	if !all.changed || all.checking {
		return false
	}
	all.checking = true
	return true
}

// next lists what is parked; nil when nothing has changed since the last time, and the caller is not to look any more.
func (all *searches) next() []*search {
	all.mu.Lock()
	defer all.mu.Unlock()
	if !all.changed {
		all.checking = false
		return nil
	}
	all.changed = false
	list := make([]*search, 0, len(all.parked))
	for s := range all.parked {
		list = append(list, s)
	}
	if len(list) == 0 {
		all.checking = false
		return nil
	}
	return list
}
