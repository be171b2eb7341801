// SPDX-License-Identifier: Apache-2.0

package stamp

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"
)

// The bytes are those that other programs may rely on.
func TestStampBytes(t *testing.T) {
	var b [Size + 2]byte
	s := Stamp{Run: 0x0102, Stream: 0x0304, Sequence: 0x05060708090a, Time: 0x0b0c0d0e0f10}
	s.Put(b[:])
	if got := hex.EncodeToString(b[:]); got != "d7a50102030405060708090a0b0c0d0e0f100000" {
		t.Error(got)
	}
	if got, ok := Parse(b[:]); !ok || got != s {
		t.Errorf("%+v, %v", got, ok)
	}
	PutPktgen(b[:], 7, 0x11223344, 999_999)
	if got := hex.EncodeToString(b[:PktgenSize]); got != "be9be9550000000711223344000f423f" {
		t.Error(got)
	}
}

func TestSince(t *testing.T) {
	for _, c := range []struct{ now, then, want uint64 }{
		{10, 3, 7}, {3, 10, 0}, {2, Mask - 2, 5}, {0, 0, 0}, {Mask/2 + 5, 5, Mask / 2}, {Mask/2 + 6, 5, 0},
	} {
		if got := Since(c.now, c.then); got != c.want {
			t.Errorf("from %d to %d: %d, want %d", c.then, c.now, got, c.want)
		}
	}
}

func TestClock(t *testing.T) {
	one, err := NewClock()
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewClock()
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := one.Now(), two.Now(), one.Now()
	const near = uint64(time.Minute) // a machine may be busy
	if Since(b, a) > near || Since(c, a) > near || Since(a+near, b) > 2*near || c < a {
		t.Errorf("%d, %d, %d", a, b, c)
	}
	if a, b := Identity(), Identity(); a == "" || a != b {
		t.Error("no identity")
	}
}

func FuzzParse(f *testing.F) {
	var b [Size]byte
	Stamp{1, 2, 3, 4}.Put(b[:])
	f.Add(b[:])
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := Parse(b)
		if !ok {
			return
		}
		var again [Size]byte
		s.Put(again[:])
		if !bytes.Equal(again[:], b[:Size]) || s.Stream >= Streams || s.Sequence > Mask || s.Time > Mask {
			t.Errorf("%x is read as %+v, which is %x", b, s, again)
		}
	})
}

// Neither a ping nor its answer is taken for the other, or for a packet of blast.
func TestPings(t *testing.T) {
	var b [Size]byte
	s := Stamp{Run: 0x0102, Stream: 3, Sequence: 0x05060708090a, Time: 0x0b0c0d0e0f10}
	s.PutPing(b[:])
	if got := hex.EncodeToString(b[:]); got != "d7a60102000305060708090a0b0c0d0e0f10" {
		t.Error(got)
	}
	if _, ok := ParseAnswer(b[:]); ok || !IsPing(b[:]) || IsAnswer(b[:]) {
		t.Errorf("a ping: %x", b)
	}
	MakeAnswer(b[:])
	if got, ok := ParseAnswer(b[:]); !ok || got != s || IsPing(b[:]) {
		t.Errorf("its answer: %x, %+v", b, got)
	}
	if _, ok := Parse(b[:]); ok {
		t.Error("blast's")
	}
	if IsAnswer(b[:Size-1]) || IsPing(nil) {
		t.Error("what is too short")
	}
	s.Put(b[:])
	if IsPing(b[:]) || IsAnswer(b[:]) {
		t.Error("a packet of blast is a ping")
	}
}
