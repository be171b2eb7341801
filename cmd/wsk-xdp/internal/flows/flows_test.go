// SPDX-License-Identifier: Apache-2.0

package flows

import (
	"math/rand/v2"
	"testing"
)

func space(t testing.TB, addresses, ports string, sources, seed uint64) *Space {
	t.Helper()
	s := &Space{Sources: sources, Seed: seed}
	if err := s.Addresses.Set(addresses); err != nil {
		t.Fatal(err)
	}
	if err := s.Ports.Set(ports); err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever the seed, all flows of a space are different, and every one occurs.
func TestFlowsAreDifferent(t *testing.T) {
	for _, c := range []struct {
		addresses, ports string
		sources, size    uint64
	}{
		{"10.0.0.2", "9000", 1, 1}, {"10.0.0.2", "9000-9002", 1, 3}, {"10.0.0.0/29", "9000-9001", 5, 60}, {"10.0.0.2", "1-2053", 1, 2053},
		{"fd00::/120", "7-9", 4, 3072}, {"10.0.0.1-10.0.0.2", "1", 1, 2},
	} {
		for _, seed := range []uint64{0, 1, 2, 7, 1 << 63, 1<<64 - 1} {
			s := space(t, c.addresses, c.ports, c.sources, seed)
			if s.Len() != c.size {
				t.Fatalf("%+v has %d flows", c, s.Len())
			}
			seen := map[Flow]bool{}
			for n := range s.Len() {
				f := s.At(n)
				if seen[f] || f.Source >= c.sources || f != s.At(n) {
					t.Fatalf("%+v, seed %d: flow %d is %+v", c, seed, n, f)
				}
				seen[f] = true
			}
		}
	}
}

// Seed 0 goes through the addresses first, so that few flows need few sources.
func TestFlowsInOrder(t *testing.T) {
	s := space(t, "10.0.0.1-10.0.0.2", "9000-9001", 2, 0)
	for n, want := range []string{"10.0.0.1:9000", "10.0.0.2:9000", "10.0.0.1:9001", "10.0.0.2:9001", "10.0.0.1:9000"} {
		if f := s.At(uint64(n)); f.To.String() != want || f.Source != uint64(n/4) {
			t.Errorf("flow %d is %+v", n, f)
		}
	}
}

// Spaces that no number holds are as good as others.
func TestHugeSpaces(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, seed := range []uint64{0, 7} {
		s := space(t, "::-ffff:ffff::", "1-65535", 1024, seed)
		if s.Len() != Most {
			t.Fatal(s.Len())
		}
		seen := map[Flow]bool{}
		for range 2000 {
			f := s.At(random.Uint64N(Most))
			if seen[f] || f.To.Port() == 0 || f.Source >= 1024 {
				t.Fatalf("%+v", f)
			}
			seen[f] = true
		}
	}
}
