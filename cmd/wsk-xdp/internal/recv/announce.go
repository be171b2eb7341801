// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
)

// What the sink does for a sender that has announced its run.

// announce begins a run, or says why not. A run of that number whose datagrams were here before is another one.
func (s *Sink) announce(hello *announced) (*run, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	if s.verify == VerifyNothing {
		return nil, "it only counts packets (--verify none)"
	}
	if s.runs[hello.Run] != nil {
		return nil, "another run has this number, try again"
	}
	r := s.begin(hello.Run, hello)
	if r == nil {
		return nil, "as many runs as can be are under way"
	}
	return r, ""
}

func (s *Sink) reportOf(r *run) peer.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return r.report()
}

func (s *Sink) intervalOf(r *run) peer.Interval {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	c := r.account.Counts()
	return peer.Interval{
		Elapsed: time.Since(r.begun).Nanoseconds(), Received: c.Received, Lost: c.Lost, Duplicate: c.Duplicate, Reordered: c.Reordered,
	}
}

// said enters how many numbers of each stream the sender has given out.
func (s *Sink) said(r *run, sent []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	r.said = true
	r.account.End(sent)
}

// complete is whether everything that was sent has come, and when the latest datagram came.
func (s *Sink) complete(r *run) (done bool, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return r.account.Counts().Lost == 0, r.last
}
