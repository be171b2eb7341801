// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// chain cuts data at random places, empty pieces included, and puts skip bytes before it.
func chain(r *rand.Rand, data []byte, skip int) *MDL {
	var head *MDL
	tail := &head
	first := append(bytes.Repeat([]byte{0xEE}, skip), data...)
	cut := skip
	if len(first) > skip {
		cut += r.IntN(len(first) - skip + 1)
	}
	for {
		m := AllocateMDL(append([]byte(nil), first[:cut]...))
		*tail, tail = m, &m.Next
		first = first[cut:]
		if len(first) == 0 {
			break
		}
		cut = r.IntN(min(len(first), 9) + 1)
	}
	if r.IntN(2) == 0 {
		*tail = AllocateMDL([]byte("behind the payload"))
	}
	return head
}

// Checklist item 43: chains that are cut in every way, compared with the flattened bytes.
func TestCursorWalksChains(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		want := make([]byte, r.IntN(60))
		for i := range want {
			want[i] = byte(r.Uint32())
		}
		skip := r.IntN(8)
		b := Buf{Mdl: chain(r, want, skip), Offset: uint32(skip), Length: uintptr(len(want))}
		if !b.valid() {
			t.Fatalf("refused: offset %d, length %d", b.Offset, b.Length)
		}
		from := 0
		if len(want) > 0 {
			from = r.IntN(len(want) + 1)
		}
		limit := 1 + r.IntN(20)
		var got []byte
		for c := b.Cursor(from); ; {
			p := c.Next(limit)
			if len(p) == 0 {
				break
			}
			if len(p) > limit {
				t.Fatalf("%d bytes of at most %d", len(p), limit)
			}
			got = append(got, p...)
		}
		if !bytes.Equal(got, want[from:]) {
			t.Fatalf("from %d: got %x, want %x", from, got, want[from:])
		}
	}
}

// Checklist item 44.
func TestBufValidity(t *testing.T) {
	mdl := func(sizes ...int) *MDL {
		var head *MDL
		tail := &head
		for _, n := range sizes {
			m := AllocateMDL(make([]byte, n))
			*tail, tail = m, &m.Next
		}
		return head
	}
	loop := mdl(4, 0, 0)
	loop.Next.Next.Next = loop.Next
	self := mdl(0)
	self.Next = self
	for _, c := range []struct {
		name string
		buf  Buf
		want bool
	}{
		{"nil-mdl-empty", Buf{}, true},
		{"empty-offset-not-looked-at", Buf{Mdl: mdl(4), Offset: 99}, true},
		{"nil-mdl-offset-empty", Buf{Offset: 99}, true},
		{"nil-mdl-with-length", Buf{Length: 1}, false},
		{"whole", Buf{mdl(10), 0, 10}, true},
		{"one-too-long", Buf{mdl(10), 0, 11}, false},
		{"offset-inside", Buf{mdl(10), 9, 1}, true},
		{"offset-eats-length", Buf{mdl(10), 9, 2}, false},
		{"offset-at-end-alone", Buf{mdl(10), 10, 1}, false},
		{"offset-at-end-with-next", Buf{mdl(10, 5), 10, 5}, true},
		{"offset-at-end-next-empty", Buf{mdl(10, 0), 10, 1}, false},
		{"offset-beyond-first", Buf{mdl(10, 5), 11, 1}, false},
		{"offset-huge", Buf{mdl(10), 0xFFFFFFFF, 1}, false},
		{"length-huge", Buf{mdl(10), 1, ^uintptr(0)}, false},
		{"length-wraps-with-offset", Buf{mdl(10, 10), 5, ^uintptr(0) - 3}, false},
		{"shorter-than-chain", Buf{mdl(10, 10, 10), 0, 11}, true},
		{"empty-mdls-between", Buf{mdl(3, 0, 0, 4, 0), 1, 6}, true},
		{"empty-mdls-between-too-long", Buf{mdl(3, 0, 0, 4, 0), 1, 7}, false},
		{"first-empty", Buf{mdl(0, 4), 0, 4}, true},
		{"cycle-of-empty", Buf{loop, 0, 5}, false},
		{"cycle-on-itself", Buf{self, 0, 1}, false},
	} {
		if got := c.buf.valid(); got != c.want {
			t.Errorf("%s: valid is %v", c.name, got)
		}
		// Whatever valid has said, walking the chain ends.
		if c.want {
			n := 0
			for cur := c.buf.Cursor(0); ; {
				p := cur.Next(3)
				if len(p) == 0 {
					break
				}
				n += len(p)
			}
			if uintptr(n) != c.buf.Length {
				t.Errorf("%s: walked %d of %d bytes", c.name, n, c.buf.Length)
			}
		}
	}
}

// A chain that a client cuts short while it is pending, against the contract, ends early and harms nobody.
func TestCursorSurvivesShrunkChain(t *testing.T) {
	second := AllocateMDL(make([]byte, 10))
	first := AllocateMDL(make([]byte, 10))
	first.Next = second
	b := Buf{first, 0, 20}
	second.Init(make([]byte, 3))
	n := 0
	for c := b.Cursor(5); ; {
		p := c.Next(4)
		if len(p) == 0 {
			break
		}
		n += len(p)
	}
	if n != 8 {
		t.Errorf("walked %d bytes, want the 8 that are left", n)
	}
	first.Init(nil)
	second.Init(nil)
	if c := b.Cursor(15); c.Next(1) != nil {
		t.Error("bytes out of nothing")
	}
}

func TestBuildPartial(t *testing.T) {
	source := AllocateMDL([]byte("0123456789"))
	for _, c := range []struct {
		offset, length uint32
		want           string
		ok             bool
	}{
		{2, 3, "234", true}, {0, 10, "0123456789", true}, {7, 0, "789", true}, {10, 0, "", true},
		{7, 4, "", false}, {11, 0, "", false}, {1, 0xFFFFFFFF, "", false},
	} {
		var m MDL
		if ok := m.BuildPartial(source, c.offset, c.length); ok != c.ok || string(m.Bytes()) != c.want {
			t.Errorf("%d+%d: %v %q", c.offset, c.length, ok, m.Bytes())
		}
	}
}

// FuzzBuf: any chain, offset and length is refused or walks to exactly Length bytes that lie inside the chain.
func FuzzBuf(f *testing.F) {
	f.Add([]byte{3, 0, 4}, uint32(1), uint64(6), 0)
	f.Add([]byte{0, 0}, uint32(0), uint64(1), 2)
	f.Add([]byte{200}, uint32(200), ^uint64(0), 1)
	f.Fuzz(func(t *testing.T, sizes []byte, offset uint32, length uint64, back int) {
		mdls := make([]*MDL, len(sizes))
		var flat []byte
		for i, n := range sizes {
			data := make([]byte, n)
			for j := range data {
				data[j] = byte(i*31 + j)
			}
			flat = append(flat, data...)
			mdls[i] = AllocateMDL(data)
			if i > 0 {
				mdls[i-1].Next = mdls[i]
			}
		}
		b := Buf{Offset: offset, Length: uintptr(length)}
		if len(mdls) > 0 {
			b.Mdl = mdls[0]
			if back > 0 && back <= len(mdls) { // tie the end back into the chain
				mdls[len(mdls)-1].Next = mdls[back-1]
				if b.valid() && length > uint64(len(flat)) {
					return // a cycle with data may be valid; that walking it ends is enough
				}
			}
		}
		fits := length == 0 || len(sizes) > 0 && offset <= uint32(sizes[0]) && length <= uint64(len(flat))-uint64(offset)
		cyclic := len(mdls) > 0 && mdls[len(mdls)-1].Next != nil
		if !cyclic && b.valid() != fits {
			t.Fatalf("sizes %v, offset %d, length %d: valid is %v", sizes, offset, length, b.valid())
		}
		if !b.valid() || length > uint64(len(flat)) {
			return
		}
		var got []byte
		for c := b.Cursor(0); ; {
			p := c.Next(7)
			if len(p) == 0 {
				break
			}
			got = append(got, p...)
		}
		if length > 0 && !cyclic && !bytes.Equal(got, flat[offset:uint64(offset)+length]) {
			t.Fatalf("sizes %v, offset %d, length %d: walked wrong", sizes, offset, length)
		}
	})
}
