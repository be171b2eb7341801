// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// learnedLimit bounds the destinations that are asked about one by one; beyond it all are asked about.
const learnedLimit = 1 << 16

// tellTime is how long the kernel may take to learn what we have been told.
const tellTime = time.Second

// learnPart is how small a part of the time the readings of what was learned may take.
const learnPart = 200

// learnSoonest is the shortest pause between two readings.
const learnSoonest = 10 * time.Millisecond

// Distrust makes a destination ask the kernel because something about it was learned that is not announced: an ICMP
// message has told a path MTU or another gateway. The next look-up sees it. The invalid address means all destinations.
// It reports whether this is new.
func (m *Mirror) Distrust(dst netip.Addr) bool {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	_, known := m.learned[dst]
	m.learned[dst] = time.Now()
	if !known {
		m.restamp()
	}
	return !known
}

// restamp puts what was learned into the present snapshot. The caller holds publishing.
func (m *Mirror) restamp() {
	now := *m.snap.Load()
	m.stamp(&now)
	m.snap.Store(&now)
}

// stamp puts what was learned into a snapshot. The caller holds publishing.
func (m *Mirror) stamp(s *Snapshot) {
	_, all := m.learned[netip.Addr{}]
	s.exceptions, s.learned = nil, all || len(m.learned) > learnedLimit
	if s.learned || len(m.learned) == 0 {
		return
	}
	s.exceptions = make(map[netip.Addr]struct{}, len(m.learned))
	for dst := range maps.Keys(m.learned) {
		s.exceptions[dst] = struct{}{}
	}
}

// learning reads again and again what the kernel has learned about single destinations: it announces none of it.
func (m *Mirror) learning() {
	defer m.running.Done()
	var took time.Duration
	for {
		timer := time.NewTimer(max(m.opts.LearnedEvery, learnPart*took, learnSoonest))
		select {
		case <-m.done:
			timer.Stop()
			return
		case <-timer.C:
		}
		begun := time.Now()
		if err := m.learn(); err != nil {
			m.log.Debug("what was learned about destinations can't be read", "err", err)
		}
		took = time.Since(begun)
	}
}

// learn reads it once.
func (m *Mirror) learn() error {
	begun := time.Now()
	learned := map[netip.Addr]time.Time{}
	var msg announced
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		body := make([]byte, rtmLen)
		body[0] = family
		binary.NativeEndian.PutUint32(body[8:], unix.RTM_F_CLONED)
		err := m.learner.dump(unix.RTM_GETROUTE, body, func() {}, func(b []byte) {
			if parseRoute(b, &msg) && msg.cloned && len(learned) <= learnedLimit {
				learned[msg.prefix.Addr()] = time.Time{}
			}
		})
		if optional(err) != nil {
			return err
		}
	}
	m.publishing.Lock()
	defer m.publishing.Unlock()
	// What was told while the dump ran, or so shortly before that the kernel may not have had it.
	for dst, at := range m.learned {
		if begun.Sub(at) < tellTime {
			learned[dst] = at
		}
	}
	same := maps.EqualFunc(m.learned, learned, func(time.Time, time.Time) bool { return true })
	m.learned = learned
	if same {
		return nil
	}
	m.restamp()
	if m.opts.Learned != nil {
		m.opts.Learned()
	}
	return nil
}

// optional passes over what a kernel may be built without.
func optional(err error) error {
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}
