// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// referenceSum is RFC 1071 section 1 word for word: the oracle of everything that is faster.
func referenceSum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word |= uint32(b[i+1])
		}
		if sum += word; sum > 0xffff {
			sum -= 0xffff
		}
	}
	return uint16(sum)
}

// canary surrounds b with octets that must survive.
func canary(n int) (whole, inner []byte) {
	whole = dirty(n + 32)
	return whole, whole[16 : 16+n]
}

func checkCanary(t *testing.T, whole []byte, what string) {
	t.Helper()
	for _, edge := range [][]byte{whole[:16], whole[len(whole)-16:]} {
		if !bytes.Equal(edge, dirty(16)) {
			t.Fatalf("%s wrote outside its destination: % x", what, edge)
		}
	}
}

// Every length around the block sizes at every start offset, so that all loops and tails run at all alignments.
func TestSumEveryLengthAndOffset(t *testing.T) {
	data := pattern(700)
	for offset := range 17 {
		for n := range 600 {
			b := data[offset : offset+n]
			want := referenceSum(b)
			var s frame.Sum
			s.Add(b)
			if got := s.Fold(); got != want {
				t.Fatalf("Add offset %d length %d: %#04x, want %#04x", offset, n, got, want)
			}
			if got := frame.Checksum(b); got != ^want {
				t.Fatalf("Checksum offset %d length %d: %#04x, want %#04x", offset, n, got, ^want)
			}
			whole, dst := canary(n)
			var c frame.Sum
			c.CopyAdd(dst, b)
			if got := c.Fold(); got != want || !bytes.Equal(dst, b) {
				t.Fatalf("CopyAdd offset %d length %d: %#04x, want %#04x, copied %v",
					offset, n, got, want, bytes.Equal(dst, b))
			}
			checkCanary(t, whole, fmt.Sprintf("CopyAdd of %d", n))
		}
	}
}

// The lengths at which CopyAdd goes over to blocks, and the largest datagram.
func TestSumLarge(t *testing.T) {
	for _, n := range []int{8191, 8192, 8193, 8199, 16383, 16384, 16385, 65507, 65527} {
		b := pattern(n)
		dst := make([]byte, n)
		var s frame.Sum
		s.CopyAdd(dst, b)
		if got, want := s.Fold(), referenceSum(b); got != want || !bytes.Equal(dst, b) {
			t.Errorf("length %d: %#04x, want %#04x, copied %v", n, got, want, bytes.Equal(dst, b))
		}
	}
}

// All carries at once: the case in which an end-around carry that overflows would show.
func TestSumExtremes(t *testing.T) {
	for n := range 600 {
		for name, fill := range map[string]byte{"ones": 0xff, "zeros": 0, "high": 0x80, "one": 1} {
			b := bytes.Repeat([]byte{fill}, n)
			var s frame.Sum
			s.Add(b)
			if got, want := s.Fold(), referenceSum(b); got != want {
				t.Fatalf("%s length %d: %#04x, want %#04x", name, n, got, want)
			}
		}
	}
	// One word short of all ones in each place, added onto an accumulator that is all ones already.
	for i := range 128 {
		b := bytes.Repeat([]byte{0xff}, 128)
		b[i] = 0xfe
		var s frame.Sum
		s.Add(bytes.Repeat([]byte{0xff}, 8))
		s.Add(b)
		want := referenceSum(append(bytes.Repeat([]byte{0xff}, 8), b...))
		if got := s.Fold(); got != want {
			t.Fatalf("octet %d: %#04x, want %#04x", i, got, want)
		}
	}
}

// Every way to cut in two and three, odd and even, with each of the operations that append.
func TestSumEverySplit(t *testing.T) {
	b := pattern(97)
	want := referenceSum(b)
	for i := range len(b) + 1 {
		for j := i; j <= len(b); j++ {
			var add, cp, app frame.Sum
			dst := dirty(len(b))
			at := 0
			for _, piece := range [][]byte{b[:i], b[i:j], b[j:]} {
				add.Add(piece)
				cp.CopyAdd(dst[at:], piece)
				at += len(piece)
				var part frame.Sum
				part.Add(piece)
				app.Append(frame.RestoreSum(part.State()))
			}
			if add.Fold() != want || cp.Fold() != want || app.Fold() != want || !bytes.Equal(dst, b) {
				t.Fatalf("split at %d and %d: Add %#04x CopyAdd %#04x Append %#04x, want %#04x",
					i, j, add.Fold(), cp.Fold(), app.Fold(), want)
			}
		}
	}
}

// State at an odd place, restored, goes on as if nothing had happened; the zero number is the empty sum.
func TestSumState(t *testing.T) {
	if (frame.Sum{}).State() != 0 || frame.RestoreSum(0) != (frame.Sum{}) {
		t.Error("the empty sum's state isn't 0")
	}
	b := pattern(5000)
	for cut := range 300 {
		var s frame.Sum
		s.Add(b[:cut])
		s = frame.RestoreSum(s.State())
		s.Add(b[cut:])
		if got, want := s.Fold(), referenceSum(b); got != want {
			t.Fatalf("cut %d: %#04x, want %#04x", cut, got, want)
		}
	}
}

func TestSumRandomPieces(t *testing.T) {
	seed := testSeed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		b := pattern(r.IntN(3000))
		want := referenceSum(b)
		var s frame.Sum
		dst := dirty(len(b))
		for at := 0; at < len(b); {
			n := min(r.IntN(1+r.IntN(700)), len(b)-at) // zero-length pieces too
			s.CopyAdd(dst[at:], b[at:at+n])
			at += n
		}
		if got := s.Fold(); got != want || !bytes.Equal(dst, b) {
			t.Fatalf("length %d: %#04x, want %#04x", len(b), got, want)
		}
	}
}

func TestSumAddUint16(t *testing.T) {
	for _, odd := range []bool{false, true} {
		prefix := []byte{1, 2}
		if odd {
			prefix = []byte{1, 2, 3}
		}
		var s frame.Sum
		s.Add(prefix)
		s.AddUint16(0xabcd)
		s.Add([]byte{9, 8, 7})
		if got, want := s.Fold(), referenceSum(append(prefix, 0xab, 0xcd, 9, 8, 7)); got != want {
			t.Errorf("odd %v: %#04x, want %#04x", odd, got, want)
		}
	}
}

func TestCopyAddShortDestinationPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var s frame.Sum
	s.CopyAdd(make([]byte, 3), make([]byte, 4))
}

// The worked examples of RFC 1071 section 3 and RFC 1624 section 4.
func TestChecksumKnownValues(t *testing.T) {
	var s frame.Sum
	s.Add([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7})
	if s.Fold() != 0xddf2 {
		t.Errorf("RFC 1071 example: %#04x, want 0xddf2", s.Fold())
	}
	if got := frame.UpdateChecksum(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("RFC 1624 example: %#04x, want 0", got)
	}
	if (frame.Sum{}).UDPChecksum() != 0xffff {
		t.Error("a sum of zero has UDP checksum 0xffff")
	}
	s = frame.Sum{}
	s.Add([]byte{0xff, 0xff})
	if s.Checksum() != 0 || s.UDPChecksum() != 0xffff {
		t.Errorf("sum 0xffff: Checksum %#04x, UDPChecksum %#04x, want 0 and 0xffff", s.Checksum(), s.UDPChecksum())
	}
}

// RFC 1624's update equals summing again, wherever the data are not all zero.
func TestUpdateChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(testSeed(t), 2))
	for range 20000 {
		b := pattern(40)
		at := 2 * r.IntN(20)
		before := frame.Checksum(b)
		old := uint16(b[at])<<8 | uint16(b[at+1])
		now := uint16(r.Uint32())
		if r.IntN(4) == 0 {
			now = []uint16{0, 0xffff, old}[r.IntN(3)]
		}
		b[at], b[at+1] = byte(now>>8), byte(now)
		if got, want := frame.UpdateChecksum(before, old, now), frame.Checksum(b); got != want {
			t.Fatalf("%#04x: %#04x → %#04x: %#04x, want %#04x", before, old, now, got, want)
		}
	}
}

func TestPseudoHeaderSum(t *testing.T) {
	tests := []struct {
		name     string
		src, dst string
		pseudo   []byte
	}{
		{"v4", "192.0.2.1", "198.51.100.7", []byte{192, 0, 2, 1, 198, 51, 100, 7, 0, 17, 0x12, 0x34}},
		{"v4-mapped", "::ffff:192.0.2.1", "198.51.100.7", []byte{192, 0, 2, 1, 198, 51, 100, 7, 0, 17, 0x12, 0x34}},
		{"v6", "2001:db8::1", "ff02::fb", []byte{
			0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
			0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb,
			0, 0, 0x12, 0x34, 0, 0, 0, 17,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := frame.PseudoHeaderSum(netip.MustParseAddr(tt.src), netip.MustParseAddr(tt.dst), 17, 0x1234)
			if got, want := s.Fold(), referenceSum(tt.pseudo); got != want {
				t.Errorf("%#04x, want %#04x", got, want)
			}
		})
	}
}
