// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"fmt"
	"testing"
)

// starts are cursors at which rings are tested: the usual one and some whose free-running counters wrap on the way.
var starts = []uint32{0, 1, 1<<31 - 3, 1<<32 - 1, 1<<32 - 3, 1<<32 - 8}

func plainWords(start uint32) Words {
	w := deadWords()
	w.Producer.Store(start)
	w.Consumer.Store(start)
	return w
}

func plainTx(size int, start uint32) (*TxRing, Words) {
	w := plainWords(start)
	return NewTxRing(w, make([]Desc, size)), w
}

func plainCompletion(size int, start uint32) (*CompletionRing, Words, []uint64) {
	w, entries := plainWords(start), make([]uint64, size)
	return NewCompletionRing(w, entries), w, entries
}

func eachStart(t *testing.T, f func(t *testing.T, start uint32)) {
	t.Helper()
	for _, s := range starts {
		t.Run(fmt.Sprintf("start-%#x", s), func(t *testing.T) { f(t, s) })
	}
}

func TestTxRingFillsToSizeMinusOne(t *testing.T) {
	eachStart(t, func(t *testing.T, start uint32) {
		r, w := plainTx(8, start)
		for round := range 5 {
			first, n := r.Reserve(100)
			if n != 7 || first != start+uint32(7*round) {
				t.Fatalf("round %d: reserved %d from %#x, want 7 from %#x", round, n, first, start+uint32(7*round))
			}
			for i := range n {
				r.Set(first+i, Desc{Addr: uint64(first + i), Len: 60})
			}
			if got := w.Producer.Load(); got != first {
				t.Fatalf("producer %#x before submit, want %#x", got, first)
			}
			r.Submit(n)
			if r.Pending() != 7 || r.Free() != 0 {
				t.Fatalf("pending %d free %d, want 7 and 0", r.Pending(), r.Free())
			}
			if _, n := r.Reserve(1); n != 0 {
				t.Fatal("reserved a slot of a full ring")
			}
			for i := range n { // the kernel reads
				if d := r.descs[w.Consumer.Load()&7]; d.Addr != uint64(first+i) {
					t.Fatalf("slot %d holds %#x, want %#x", i, d.Addr, first+i)
				}
				w.Consumer.Add(1)
			}
			if r.Pending() != 0 {
				t.Fatalf("pending %d of an empty ring", r.Pending())
			}
		}
	})
}

// The slot in front of the consumer must survive until the next one is consumed, however eagerly the producer
// refills: EBUSY is attributed through it.
func TestTxRingKeepsLastConsumed(t *testing.T) {
	eachStart(t, func(t *testing.T, start uint32) {
		r, w := plainTx(4, start)
		serial := uint64(0)
		fill := func() {
			first, n := r.Reserve(100)
			for i := range n {
				r.Set(first+i, Desc{Addr: serial})
				serial++
			}
			r.Submit(n)
		}
		fill()
		for i := range uint64(50) {
			w.Consumer.Add(1)
			fill()
			if d := r.At(r.Consumer() - 1); d.Addr != i {
				t.Fatalf("after consuming %d: last consumed slot holds %d", i, d.Addr)
			}
		}
	})
}

func TestProducerSeesOnlyWhatItRead(t *testing.T) {
	r, w := plainTx(8, 0)
	_, n := r.Reserve(7)
	r.Submit(n)
	w.Consumer.Add(7)
	if got := r.free(); got != 0 {
		t.Fatalf("stale cache says %d free, want 0: the consumer has not been read", got)
	}
	if _, n := r.Reserve(3); n != 3 {
		t.Fatalf("reserved %d after the kernel consumed, want 3: an apparently full ring is read again", n)
	}
	// 4 more are free by the cached consumer: no need to look, so even nonsense there does not matter.
	w.Consumer.Store(12345)
	if _, n := r.Reserve(4); n != 4 {
		t.Fatalf("reserved %d, want the 4 that the cache knows of", n)
	}
}

func TestPartialSubmitAndCancel(t *testing.T) {
	r, w := plainTx(8, 1<<32-2)
	first, n := r.Reserve(5)
	r.Submit(2)
	if got := w.Producer.Load(); got != first+2 {
		t.Fatalf("producer %#x after submitting 2 of %d from %#x", got, n, first)
	}
	r.Cancel(3)
	again, n := r.Reserve(7)
	if again != first+2 || n != 5 {
		t.Fatalf("reserved %d from %#x after cancel, want 5 from %#x", n, again, first+2)
	}
}

func TestCompletionRing(t *testing.T) {
	eachStart(t, func(t *testing.T, start uint32) {
		r, w, mem := plainCompletion(4, start)
		if _, n := r.Peek(10); n != 0 {
			t.Fatalf("peeked %d of an empty ring", n)
		}
		next := uint64(0)
		for range 10 {
			for range 4 {
				mem[w.Producer.Load()&3] = next
				next++
				w.Producer.Add(1)
			}
			first, n := r.Peek(3)
			if n != 3 {
				t.Fatalf("peeked %d, want the limit of 3", n)
			}
			if again, m := r.Peek(100); again != first || m != 4 {
				t.Fatalf("second peek gives %d from %#x, want all 4 from %#x", m, again, first)
			}
			if got := w.Consumer.Load(); got != first {
				t.Fatalf("consumer moved to %#x by peeking", got)
			}
			for i := range uint32(4) {
				if got, want := r.At(first+i), next-4+uint64(i); got != want {
					t.Fatalf("entry %d is %d, want %d", i, got, want)
				}
			}
			r.Release(1)
			r.Release(3)
			if got := w.Consumer.Load(); got != first+4 {
				t.Fatalf("consumer %#x after releasing 4 from %#x", got, first)
			}
		}
	})
}

func TestFillRingUsesEverySlot(t *testing.T) {
	w := plainWords(1<<32 - 2)
	r := NewFillRing(w, make([]uint64, 4))
	first, n := r.Reserve(100)
	if n != 4 {
		t.Fatalf("reserved %d of 4", n)
	}
	for i := range n {
		r.Set(first+i, uint64(i))
	}
	r.Submit(n)
	if r.Pending() != 4 || r.Free() != 0 || r.Size() != 4 {
		t.Fatalf("pending %d free %d size %d, want 4, 0, 4", r.Pending(), r.Free(), r.Size())
	}
	w.Consumer.Add(2)
	if r.Free() != 2 {
		t.Fatalf("free %d, want 2", r.Free())
	}
}

func TestRxRing(t *testing.T) {
	w, mem := plainWords(1<<32-1), make([]Desc, 2)
	r := NewRxRing(w, mem)
	mem[1], mem[0] = Desc{Addr: 1, Len: 11}, Desc{Addr: 2, Len: 22}
	w.Producer.Add(2)
	first, n := r.Peek(10)
	if n != 2 || r.At(first).Len != 11 || r.At(first+1).Len != 22 {
		t.Fatalf("peeked %d: %+v %+v", n, r.At(first), r.At(first+1))
	}
	r.Release(2)
	if w.Consumer.Load() != 1 {
		t.Fatalf("consumer %#x, want 1", w.Consumer.Load())
	}
}

func TestNeedWakeup(t *testing.T) {
	r, w := plainTx(4, 0)
	for flags, want := range map[uint32]bool{0: false, 1: true, 2: false, 3: true} {
		w.Flags.Store(flags)
		if r.NeedWakeup() != want {
			t.Errorf("flags %d: NeedWakeup %v", flags, !want)
		}
	}
}

func TestRingOpsDoNotAllocate(t *testing.T) {
	tx, txw := plainTx(64, 1<<32-10)
	cq, cqw, _ := plainCompletion(64, 1<<32-10)
	allocs := testing.AllocsPerRun(1000, func() {
		first, n := tx.Reserve(8)
		for i := range n {
			tx.Set(first+i, Desc{Addr: 1, Len: 2})
		}
		tx.Submit(n)
		txw.Consumer.Add(n)
		cqw.Producer.Add(n)
		_ = tx.At(tx.Consumer() - 1)
		first, n = cq.Peek(64)
		for i := range n {
			_ = cq.At(first + i)
		}
		cq.Release(n)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per burst, want 0", allocs)
	}
}

// A kernel that does not publish its cursor is followed by what comes back (Linux before 6.17).
func TestLaggingConsumer(t *testing.T) {
	start := ^uint32(0) - 3
	r, w := plainTx(8, start)
	r.Reserve(7)
	r.Submit(7)
	want := func(what string, consumer, pending, free uint32) {
		t.Helper()
		if r.Consumer() != start+consumer || r.Pending() != pending || r.Free() != free {
			t.Errorf("%s: consumer %d, %d pending, %d free; want %d, %d, %d", what, r.Consumer()-start, r.Pending(), r.Free(),
				consumer, pending, free)
		}
	}
	want("nothing consumed", 0, 7, 0)
	r.Completed(start + 2)
	want("the third came back", 3, 4, 3)
	r.Completed(start)
	want("the first came back after it", 3, 4, 3)
	w.Consumer.Store(start + 1)
	want("the kernel still lags", 3, 4, 3)
	w.Consumer.Store(start + 5)
	want("the kernel is ahead", 5, 2, 5)
	for _, outside := range []uint32{start + 7, start + 8, start + 100, start - 1, start + 1<<31} {
		r.Completed(outside)
		want("nonsense", 5, 2, 5)
	}
	if _, n := r.Reserve(8); n != 5 {
		t.Errorf("reserved %d", n)
	}
	r.Completed(start + 8) // reserved, not submitted
	want("nonsense", 5, 2, 0)
	r.Completed(start + 6)
	want("all came back", 7, 0, 2)

	// A floor that nobody raises any more is forgotten before the word is so far ahead that it seems to be behind.
	for i := uint32(7); i < 7+5<<29; i += 1 << 28 {
		w.Producer.Store(start + i)
		w.Consumer.Store(start + i)
		r.tail, r.next = start+i, start+i
		r.Free()
		if r.Consumer() != start+i || r.Pending() != 0 {
			t.Fatalf("at %d: consumer %d", i, r.Consumer()-start)
		}
	}
}
