// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdptest

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// A sender and a kernel on two goroutines, a third that only watches the consumer. The payload is written with
// plain stores, so that the race detector sees every order of publication that the rings fail to make (I3):
// descriptors and bytes before the producer, entries before the consumer. The completion ring is smaller than the
// pool, so that its entries are rewritten.
func TestSenderAgainstKernel(t *testing.T) {
	total := uint64(200_000)
	if raceEnabled {
		total = 50_000
	}
	var received atomic.Uint64
	k := newKernel(t, Config{TxChunks: 64, CompletionRing: 16, Start: 1<<32 - 1000, Budget: -1, OnSend: func(f []byte) {
		if got, want := binary.NativeEndian.Uint64(f), received.Add(1)-1; got != want {
			panic("frames changed or out of order")
		}
	}})
	stop := make(chan struct{})
	kernelDone, watcherDone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(kernelDone)
		for {
			select {
			case <-stop:
				return
			default:
				k.Poll()
				runtime.Gosched()
			}
		}
	}()
	go func() {
		defer close(watcherDone)
		last := k.TX().Consumer()
		for {
			select {
			case <-stop:
				return
			default:
			}
			now := k.TX().Consumer()
			if now-last > 1<<31 {
				t.Error("the consumer went backwards")
				return
			}
			last = now
			k.TX().Pending()
			runtime.Gosched()
		}
	}()

	free := make([]uint64, 0, 64)
	for i := range 64 {
		free = append(free, k.UMEM().Addr(i))
	}
	for sent, done := uint64(0), uint64(0); done < total; {
		want := uint32(min(uint64(len(free)), total-sent, 1+sent%7))
		first, n := k.TX().Reserve(want)
		for i := range n {
			addr := free[len(free)-1]
			free = free[:len(free)-1]
			binary.NativeEndian.PutUint64(k.UMEM().Chunk(addr), sent)
			k.TX().Set(first+i, xdp.Desc{Addr: addr, Len: 60})
			sent++
		}
		k.TX().Submit(n)
		at, m := k.Completion().Peek(64)
		for i := range m {
			addr := k.Completion().At(at + i)
			index, ok := k.UMEM().CheckTx(addr)
			if !ok {
				t.Fatalf("foreign completion %#x (%d)", addr, index)
			}
			binary.NativeEndian.PutUint64(k.UMEM().Chunk(addr), ^uint64(0)) // ours again
			free = append(free, addr)
		}
		k.Completion().Release(m)
		done += uint64(m)
		if n == 0 && m == 0 {
			runtime.Gosched()
		}
	}
	close(stop)
	<-kernelDone
	<-watcherDone
	if received.Load() != total || len(free) != 64 || k.TX().Pending() != 0 {
		t.Errorf("received %d of %d, %d chunks free, %d pending", received.Load(), total, len(free), k.TX().Pending())
	}
}
