// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"math"
	"testing"
)

func TestUMEMChecks(t *testing.T) {
	const chunk, headroom = 2048, 64
	u, err := NewUMEM(make([]byte, 5*chunk+100), chunk, 3, 2, headroom)
	if err != nil {
		t.Fatal(err)
	}
	if u.TxChunks() != 3 || u.RxChunks() != 2 || u.FrameSize() != chunk-headroom || u.ChunkSize() != chunk ||
		u.Headroom() != headroom {
		t.Fatalf("umem %+v", u)
	}
	for i := range 5 {
		if got := u.Addr(i); got != uint64(i)*chunk+headroom {
			t.Errorf("Addr(%d) = %d", i, got)
		}
	}
	for _, c := range []struct {
		addr               uint64
		index              int
		inside, check, tx  bool
		chunkLen, frameMax int
	}{
		{0, 0, true, false, false, chunk, chunk},
		{headroom, 0, true, true, true, chunk - headroom, chunk - headroom},
		{headroom + 1, 0, true, false, false, chunk - headroom - 1, chunk - headroom - 1},
		{chunk - 1, 0, true, false, false, 1, 1},
		{2*chunk + headroom, 2, true, true, true, chunk - headroom, chunk - headroom},
		{3*chunk + headroom, 3, true, true, false, chunk - headroom, chunk - headroom},
		{4*chunk + headroom, 4, true, true, false, chunk - headroom, chunk - headroom},
		{5*chunk - 1, 4, true, false, false, 1, 1},
		{5 * chunk, 5, false, false, false, 0, -1},
		{5*chunk + headroom, 5, false, false, false, 0, -1}, // there is memory, but no chunk
		{1<<32 + headroom, 1 << 21, false, false, false, 0, -1},
		{math.MaxUint64, math.MaxUint64 >> 11, false, false, false, 0, -1},
		{math.MaxUint64 - chunk + 1 + headroom, math.MaxUint64 >> 11, false, false, false, 0, -1},
	} {
		if i, ok := u.Index(c.addr); ok != c.inside || i != c.index {
			t.Errorf("Index(%#x) = %d, %v", c.addr, i, ok)
		}
		if i, ok := u.Check(c.addr); ok != c.check || i != c.index {
			t.Errorf("Check(%#x) = %d, %v", c.addr, i, ok)
		}
		if i, ok := u.CheckTx(c.addr); ok != c.tx || i != c.index {
			t.Errorf("CheckTx(%#x) = %d, %v", c.addr, i, ok)
		}
		b := u.Chunk(c.addr)
		if len(b) != c.chunkLen || cap(b) != c.chunkLen {
			t.Errorf("Chunk(%#x): %d bytes of %d, want %d", c.addr, len(b), cap(b), c.chunkLen)
		}
		if c.frameMax < 0 {
			if u.Frame(Desc{Addr: c.addr, Len: 1}) != nil {
				t.Errorf("Frame(%#x, 1) is not nil", c.addr)
			}
			continue
		}
		if f := u.Frame(Desc{Addr: c.addr, Len: uint32(c.frameMax)}); len(f) != c.frameMax || cap(f) != c.frameMax {
			t.Errorf("Frame(%#x, %d): %d bytes of %d", c.addr, c.frameMax, len(f), cap(f))
		}
		for _, n := range []uint32{uint32(c.frameMax) + 1, chunk * 4, math.MaxUint32} {
			if u.Frame(Desc{Addr: c.addr, Len: n}) != nil {
				t.Errorf("Frame(%#x, %d) is not nil", c.addr, n)
			}
		}
	}
}

func TestUMEMIsTheMemory(t *testing.T) {
	mem := make([]byte, 4*2048)
	u, err := NewUMEM(mem, 2048, 2, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	u.Chunk(u.Addr(3))[5] = 0xa5
	if mem[3*2048+5] != 0xa5 {
		t.Error("Chunk is not the memory")
	}
	u.kill()
	if u.Chunk(0) != nil || u.Frame(Desc{Len: 1}) != nil {
		t.Error("a dead UMEM still has memory")
	}
	if _, ok := u.CheckTx(0); ok {
		t.Error("a dead UMEM still has addresses")
	}
}

func TestNewUMEMRefuses(t *testing.T) {
	mem := make([]byte, 8192)
	for name, f := range map[string]func() (*UMEM, error){
		"no power of two":    func() (*UMEM, error) { return NewUMEM(mem, 3000, 1, 0, 0) },
		"zero chunk":         func() (*UMEM, error) { return NewUMEM(mem, 0, 1, 0, 0) },
		"no chunks":          func() (*UMEM, error) { return NewUMEM(mem, 2048, 0, 0, 0) },
		"one too many":       func() (*UMEM, error) { return NewUMEM(mem, 2048, 4, 1, 0) },
		"product over 32":    func() (*UMEM, error) { return NewUMEM(mem, 2048, 1<<21, 0, 0) },
		"sum over 32":        func() (*UMEM, error) { return NewUMEM(mem, 2048, 1<<31, 1<<31, 0) },
		"headroom too large": func() (*UMEM, error) { return NewUMEM(mem, 2048, 1, 0, 2048) },
	} {
		if u, err := f(); err == nil || u != nil {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
	u, _ := NewUMEM(mem, 2048, 4, 0, 0)
	for _, i := range []int{-1, 4, math.MaxInt} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Addr(%d) does not panic", i)
				}
			}()
			u.Addr(i)
		}()
	}
}
