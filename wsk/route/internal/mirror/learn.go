// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"time"

	"github.com/gaissmai/bart"
	"golang.org/x/sys/unix"
)

// learnedLimit bounds the destinations that are asked about one by one; beyond it all are asked about. The kernel keeps some ten thousand
// for each next hop (net/ipv4/route.c, fnhe_remove_oldest), and whoever forges ICMP messages can have it keep as many. Each takes a
// few hundred bytes here.
const learnedLimit = 1 << 17

// tellTime is how long the kernel may take to learn what we have been told.
const tellTime = time.Second

// learnPart is how small a part of the time the readings of what was learned may take.
const learnPart = 200

// learnSoonest is the shortest pause between two readings.
const learnSoonest = 10 * time.Millisecond

// Distrust makes a destination ask the kernel because something about it was learned that is not announced: an ICMP
// message has told a path MTU or another gateway. The next look-up sees it. The invalid address means all destinations,
// and so does each that is one too many. It reports whether this is new.
func (m *Mirror) Distrust(dst netip.Addr) bool {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	_, known := m.learned[dst]
	if !known && len(m.learned) >= learnedLimit {
		dst = netip.Addr{}
		_, known = m.learned[dst]
	}
	m.learned[dst] = time.Now()
	if !known {
		m.except(dst)
		m.restamp()
	}
	return !known
}

// except adds what was learned about a destination. The caller holds publishing.
func (m *Mirror) except(dst netip.Addr) {
	switch {
	case !dst.IsValid():
		m.all = true
	case m.exceptions == nil:
		m.exceptions = new(bart.Lite)
		fallthrough
	default:
		m.exceptions = m.exceptions.InsertPersist(netip.PrefixFrom(dst, dst.BitLen()))
	}
}

// relearn takes what is known now in the place of what was. The caller holds publishing.
func (m *Mirror) relearn(learned map[netip.Addr]time.Time) {
	_, all := learned[netip.Addr{}]
	m.learned, m.exceptions, m.all = learned, nil, all || len(learned) > learnedLimit
	if m.all || len(learned) == 0 {
		return
	}
	m.exceptions = new(bart.Lite) // nobody else has it yet
	for dst := range learned {
		m.exceptions.Insert(netip.PrefixFrom(dst, dst.BitLen()))
	}
}

// restamp puts what was learned into the present snapshot. The caller holds publishing.
func (m *Mirror) restamp() {
	now := m.snap.Load().again()
	m.stamp(now)
	m.snap.Store(now)
}

// stamp puts what was learned, and its number, into a snapshot. The caller holds publishing.
func (m *Mirror) stamp(s *Snapshot) {
	m.serial++
	s.exceptions, s.learned, s.serial = m.exceptions, m.all, m.serial
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
	if m.learnedNow(learned, begun) && m.opts.Learned != nil {
		m.opts.Learned()
	}
	return nil
}

// learnedNow takes what a dump had that began then. It reports whether it is something else than before.
func (m *Mirror) learnedNow(learned map[netip.Addr]time.Time, begun time.Time) bool {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	// What was told while the dump ran, or so shortly before that the kernel may not have had it.
	for dst, at := range m.learned {
		if begun.Sub(at) < tellTime {
			learned[dst] = at
		}
	}
	if maps.EqualFunc(m.learned, learned, func(time.Time, time.Time) bool { return true }) {
		m.learned = learned
		return false
	}
	m.relearn(learned)
	m.restamp()
	return true
}

// optional passes over what a kernel may be built without.
func optional(err error) error {
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}
