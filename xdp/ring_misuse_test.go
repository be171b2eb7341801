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

// A consumer in what is reserved and not published yet is a lie too: it would have the first of these slots written
// twice.
func TestProducerDistrustsConsumerOfUnpublished(t *testing.T) {
	eachStart(t, func(t *testing.T, start uint32) {
		r, w := plainTx(8, start)
		if _, n := r.Reserve(3); n != 3 {
			t.Fatalf("reserved %d", n)
		}
		w.Consumer.Store(start + 2)
		_, more := r.Reserve(8)
		for range 8 {
			if _, ok := r.Put(Desc{}); ok {
				more++
			}
		}
		if 3+more > 7 {
			t.Errorf("%d slots reserved in a ring of 8 of which nothing was published", 3+more)
		}
		w.Consumer.Store(start)
		if free := r.Free(); free != 7-3-more {
			t.Errorf("%d free after the consumer came to its senses, %d reserved", free, 3+more)
		}
	})
}

// Whoever looks at a ring while it is filled and emptied sees too much at most, never less than nothing.
func TestPendingIsNeverNegative(t *testing.T) {
	r, w := plainTx(8, ^uint32(0)-5)
	const rounds = 300000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range rounds {
			r.Put(Desc{})
			r.Submit(1)
			w.Consumer.Add(1) // the kernel is done with it at once
		}
	}()
	for {
		if n := r.Pending(); n > 2*rounds {
			t.Fatalf("%d entries wait", int32(n))
		}
		select {
		case <-done:
			return
		default:
		}
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
	tx, w := plainTx(8, 5)
	tx.Reserve(4)
	tx.Submit(4)
	w.Consumer.Store(6)
	tx.Completed(7) // the consumer is known to be further than its word says
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
