// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// endpointSet is the endpoints of a datapath that are open.
type endpointSet struct {
	mu     lockrank.Mutex[locks.EndpointsMu]
	closed bool
	all    map[*endpoint]struct{}
}

// add takes an endpoint in. It reports false once the set is closed.
func (s *endpointSet) add(ep *endpoint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.all == nil {
		s.all = make(map[*endpoint]struct{})
	}
	s.all[ep] = struct{}{}
	return true
}

func (s *endpointSet) remove(ep *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, ep)
}

func (s *endpointSet) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// close refuses further endpoints. It reports false when that was done before.
func (s *endpointSet) close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.closed
	s.closed = true
	return first
}

func (s *endpointSet) list() []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*endpoint, 0, len(s.all))
	for ep := range s.all {
		list = append(list, ep)
	}
	return list
}

// sources lists the sending halves.
func (s *endpointSet) sources() []*send.Source {
	endpoints := s.list()
	list := make([]*send.Source, len(endpoints))
	for i, ep := range endpoints {
		list[i] = &ep.source
	}
	return list
}
