// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

func TestProducerDistrustsCursors(t *testing.T) {
	for _, lie := range []uint32{1, 7, 100, 1 << 31, ^uint32(0)} {
		r, w := plainTx(8, 1000)
		w.Consumer.Store(1000 + lie) // ahead of everything that was ever submitted
		if _, n := r.Reserve(3); n > 3 {
			t.Fatalf("lie %d: reserved %d", lie, n)
		}
		if free := r.Free(); free > 7 {
			t.Fatalf("lie %d: %d free in a ring of 8", lie, free)
		}
	}
	r, w := plainTx(8, 1000)
	w.Consumer.Store(900)
	if _, n := r.Reserve(8); n != 0 {
		t.Fatal("reserved slots although the consumer went backwards")
	}
}

func TestConsumerDistrustsCursors(t *testing.T) {
	r, w, _ := plainCompletion(4, 100)
	for _, lie := range []uint32{105, 99, 100 + 1<<31} {
		w.Producer.Store(lie)
		if _, n := r.Peek(100); n != 0 {
			t.Fatalf("producer %d over a ring of 4 at 100: peeked %d, want 0", lie, n)
		}
	}
	w.Producer.Store(104)
	if _, n := r.Peek(100); n != 4 {
		t.Fatalf("peeked %d after the producer came to its senses, want 4", n)
	}
}

func TestRingMisuse(t *testing.T) {
	tx, _ := plainTx(8, 0)
	tx.Reserve(3)
	cq, w, _ := plainCompletion(8, 0)
	w.Producer.Store(3)
	cq.Peek(3)
	for name, f := range map[string]func(){
		"submit of 4":    func() { tx.Submit(4) },
		"cancel of 4":    func() { tx.Cancel(4) },
		"release of 4":   func() { cq.Release(4) },
		"ring of 3":      func() { plainTx(3, 0) },
		"ring of 0":      func() { plainCompletion(0, 0) },
		"three words":    func() { NewFillRing(Words{Producer: new(atomic.Uint32)}, make([]uint64, 2)) },
		"ring of 209715": func() { NewFillRing(deadWords(), make([]uint64, 2*maxRingSize)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), name) {
					t.Errorf("panic %v, want one about %q", p, name)
				}
			}()
			f()
		})
	}
}

func TestKilledRingsAreHarmless(t *testing.T) {
	tx, _ := plainTx(8, 5)
	tx.kill()
	if _, n := tx.Reserve(1); n != 0 || tx.Free() != 0 || tx.Pending() != 0 {
		t.Error("a dead TX ring has room")
	}
	tx.Set(5, Desc{})
	tx.At(tx.Consumer() - 1)
	cq, _, _ := plainCompletion(8, 5)
	cq.kill()
	if _, n := cq.Peek(10); n != 0 {
		t.Error("a dead completion ring has entries")
	}
	cq.At(77)
	fq := NewFillRing(plainWords(3), make([]uint64, 4))
	fq.kill()
	if _, n := fq.Reserve(1); n != 0 {
		t.Error("a dead fill ring has room")
	}
	rx := NewRxRing(plainWords(3), make([]Desc, 4))
	rx.kill()
	if _, n := rx.Peek(10); n != 0 {
		t.Error("a dead RX ring has frames")
	}
}
