// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// told is destination number i.
func told(i int) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24|uint32(i))))
}

// TestMuchIsLearned: a server has tens of thousands of clients behind links with a smaller MTU, and still no others are asked about.
func TestMuchIsLearned(t *testing.T) {
	m, other := newMirror(Options{}), Query{Dst: told(1 << 20)}
	const many = 50_000
	for i := range many {
		m.Distrust(told(i))
	}
	check := func(when string) {
		t.Helper()
		s := m.Snapshot()
		s.ask = Answered
		if _, ask := s.Lookup(&other); ask == Exception {
			t.Errorf("%s, another destination is asked about", when)
		}
		if _, ask := s.Lookup(&Query{Dst: told(many - 1)}); ask != Exception {
			t.Errorf("%s, the last one is not asked about: %v", when, ask)
		}
	}
	check("told one by one")
	learned := map[netip.Addr]time.Time{}
	for i := range many {
		learned[told(many-1-i)] = time.Time{}
	}
	learned[told(2*many)] = time.Time{} // something has changed
	m.learnedNow(learned, time.Now().Add(2*tellTime))
	check("read from the kernel")
}

// TestDistrustIsBounded tells a mirror of destination after destination, as somebody can who forges ICMP messages.
func TestDistrustIsBounded(t *testing.T) {
	m := newMirror(Options{})
	var before, after runtime.MemStats
	const single, most = 1000, 16 << 10 // bytes for each: a copy of all that are known takes some hundred thousand
	for i := range learnedLimit - single {
		m.Distrust(told(i))
	}
	runtime.ReadMemStats(&before)
	for i := range single {
		if !m.Distrust(told(learnedLimit - single + i)) {
			t.Fatal("a destination is not new")
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / single; each > most {
		t.Errorf("each of many takes %d bytes", each)
	}
	other, known := Query{Dst: told(1 << 20)}, Query{Dst: told(1)}
	s := m.Snapshot()
	s.ask = Answered
	if _, ask := s.Lookup(&known); ask != Exception {
		t.Errorf("a destination that was told is not asked about: %v", ask)
	}
	if _, ask := s.Lookup(&other); ask == Exception {
		t.Error("a destination is asked about that was not told")
	}
	if m.Distrust(told(1)) {
		t.Error("a destination is new the second time")
	}
	news := 0
	for i := range learnedLimit / 8 {
		if m.Distrust(told(1<<20 + i)) {
			news++
		}
	}
	if news != 1 || len(m.learned) > learnedLimit+1 {
		t.Errorf("%d times news beyond the limit, %d kept", news, len(m.learned))
	}
	s = m.Snapshot()
	s.ask = Answered
	if _, ask := s.Lookup(&Query{Dst: told(9 << 20)}); ask != Exception {
		t.Errorf("beyond the limit a destination is not asked about: %v", ask)
	}
}
