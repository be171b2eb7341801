// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"fmt"
	"testing"
)

// BenchmarkRingCycle is the ring work of a burst without the kernel: reserve, write, publish, read completions,
// release.
func BenchmarkRingCycle(b *testing.B) {
	for _, burst := range []uint32{1, 8, 64} {
		b.Run(fmt.Sprintf("burst=%d", burst), func(b *testing.B) {
			tx, txw := plainTx(2048, 0)
			cq, cqw, mem := plainCompletion(2048, 0)
			b.ReportAllocs()
			sum := uint64(0)
			frames := 0
			for b.Loop() {
				first, n := tx.Reserve(burst)
				for i := range n {
					tx.Set(first+i, Desc{Addr: uint64(i) << 11, Len: 60})
				}
				tx.Submit(n)
				mem[cqw.Producer.Load()&2047] = uint64(n)
				txw.Consumer.Add(n)
				cqw.Producer.Add(n)
				first, n = cq.Peek(64)
				for i := range n {
					sum += cq.At(first + i)
				}
				cq.Release(n)
				frames += int(n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
			if sum == 0 {
				b.Fatal("nothing came back")
			}
		})
	}
}

func BenchmarkUMEMCheckTx(b *testing.B) {
	u, err := NewUMEM(make([]byte, 2048*2048), 2048, 2048, 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	addr, hits := uint64(0), 0
	for b.Loop() {
		if _, ok := u.CheckTx(addr & (1<<22 - 1)); ok {
			hits++
		}
		addr += 2048
	}
	if hits == 0 {
		b.Fatal("no address passed")
	}
}
