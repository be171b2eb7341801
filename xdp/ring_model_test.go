// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"slices"
	"testing"
)

// FuzzRingModel drives a TX ring and a completion ring by a script of operations and compares them, after each, with
// what plain slices say. The first byte chooses the size, the next four the start of the cursors.
func FuzzRingModel(f *testing.F) {
	f.Add([]byte{3, 0, 0, 0, 0, 0x07, 0x17, 0x25, 0x33, 0x42})
	f.Add([]byte{2, 0xff, 0xff, 0xff, 0xfe, 0x0f, 0x1f, 0x2f, 0x0f, 0x1f, 0x2f, 0x3f, 0x4f})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x01, 0x52, 0x11, 0x21, 0x31, 0x41})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) < 6 {
			return
		}
		size := 1 << (1 + script[0]%6)
		start := uint32(script[1])<<24 | uint32(script[2])<<16 | uint32(script[3])<<8 | uint32(script[4])
		m := newModel(size, start)
		for step, b := range script[5:] {
			m.step(t, step, b>>4, uint32(b&15))
		}
	})
}

type model struct {
	size     int
	tx       *TxRing
	txw      Words
	cq       *CompletionRing
	cqw      Words
	cqMem    []uint64
	serial   uint64
	reserved []uint32 // indexes reserved, not submitted
	queued   []uint64 // addresses submitted, not consumed
	last     uint64   // address last consumed
	flying   []uint64 // consumed, not completed
	done     []uint64 // completed, not released
	peeked   uint32
}

func newModel(size int, start uint32) *model {
	m := &model{size: size}
	m.tx, m.txw = plainTx(size, start)
	m.cq, m.cqw, m.cqMem = plainCompletion(size, start)
	return m
}

func (m *model) step(t *testing.T, step int, op byte, n uint32) {
	switch op % 7 {
	case 0: // reserve and write
		first, got := m.tx.Reserve(n)
		if want := min(int(n), m.size-1-len(m.reserved)-len(m.queued)); int(got) != want {
			t.Fatalf("step %d: reserved %d, want %d", step, got, want)
		}
		for i := range got {
			m.tx.Set(first+i, Desc{Addr: uint64(first + i)})
			m.reserved = append(m.reserved, first+i)
		}
	case 1: // submit
		n = min(n, uint32(len(m.reserved)))
		for _, idx := range m.reserved[:n] {
			m.tx.Set(idx, Desc{Addr: m.serial})
			m.queued = append(m.queued, m.serial)
			m.serial++
		}
		m.reserved = m.reserved[n:]
		m.tx.Submit(n)
	case 2: // the kernel consumes
		for range min(int(n), len(m.queued)) {
			got := m.tx.descs[m.txw.Consumer.Load()&uint32(m.size-1)].Addr
			if got != m.queued[0] {
				t.Fatalf("step %d: kernel finds %d, want %d", step, got, m.queued[0])
			}
			m.last = got
			m.flying = append(m.flying, got)
			m.queued = m.queued[1:]
			m.txw.Consumer.Add(1)
		}
	case 3: // the kernel completes
		for range min(int(n), len(m.flying), m.size-len(m.done)) {
			m.cqMem[m.cqw.Producer.Load()&uint32(m.size-1)] = m.flying[0]
			m.done = append(m.done, m.flying[0])
			m.flying = m.flying[1:]
			m.cqw.Producer.Add(1)
		}
	case 4: // peek
		first, got := m.cq.Peek(n)
		if want := min(int(n), len(m.done)); int(got) != want {
			t.Fatalf("step %d: peeked %d, want %d", step, got, want)
		}
		var seen []uint64
		for i := range got {
			seen = append(seen, m.cq.At(first+i))
		}
		if !slices.Equal(seen, m.done[:got]) {
			t.Fatalf("step %d: completions %v, want %v", step, seen, m.done[:got])
		}
		m.peeked = max(m.peeked, got)
	case 5: // release
		n = min(n, m.peeked)
		m.cq.Release(n)
		m.done, m.peeked = m.done[n:], m.peeked-n
	case 6: // cancel
		n = min(n, uint32(len(m.reserved)))
		m.tx.Cancel(n)
		m.reserved = m.reserved[:len(m.reserved)-int(n)]
	}
	m.check(t, step)
}

func (m *model) check(t *testing.T, step int) {
	if got := int(m.tx.Pending()); got != len(m.queued) {
		t.Fatalf("step %d: pending %d, want %d", step, got, len(m.queued))
	}
	if got, want := int(m.tx.Free()), m.size-1-len(m.reserved)-len(m.queued); got != want {
		t.Fatalf("step %d: free %d, want %d", step, got, want)
	}
	if m.last != 0 {
		if got := m.tx.At(m.tx.Consumer() - 1).Addr; got != m.last {
			t.Fatalf("step %d: last consumed slot holds %d, want %d", step, got, m.last)
		}
	}
}
