// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"fmt"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// benchSizes are an empty-ish payload, the smallest frame's, a cache line, a full Ethernet frame, a jumbo frame and the
// largest datagram.
var benchSizes = []int{18, 64, 256, 1472, 8972, 65507}

func BenchmarkSum(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			src := pattern(size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				var s frame.Sum
				s.Add(src)
				sink = s.Fold()
			}
		})
	}
}

func BenchmarkCopySum(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			src, dst := pattern(size), make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				var s frame.Sum
				s.CopyAdd(dst, src)
				sink = s.Fold()
			}
		})
	}
}

// BenchmarkCopy is the floor under BenchmarkCopySum.
func BenchmarkCopy(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			src, dst := pattern(size), make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(dst, src)
			}
		})
	}
}

func BenchmarkPutHeaders(b *testing.B) {
	for _, bench := range benchFlows {
		b.Run(bench.name, func(b *testing.B) {
			t, err := frame.NewTemplate(bench.flow)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 2048)
			var sum frame.Sum
			sum.CopyAdd(buf[t.HeaderLen():], pattern(1000))
			var id uint16
			b.ReportAllocs()
			for b.Loop() {
				id++
				sinkInt = t.PutHeaders(buf, 1000, id, sum)
			}
		})
	}
}

func BenchmarkPutFragment(b *testing.B) {
	for _, bench := range benchFlows {
		b.Run(bench.name, func(b *testing.B) {
			t, err := frame.NewTemplate(bench.flow)
			if err != nil {
				b.Fatal(err)
			}
			plan, err := t.PlanFragments(65507, 1500)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 2048)
			b.ReportAllocs()
			for b.Loop() {
				sinkInt = t.PutFragment(buf, plan, 3, 7, frame.Sum{})
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bench := range benchFlows {
		b.Run(bench.name, func(b *testing.B) {
			f := build(b, bench.flow, pattern(64), 1)
			b.ReportAllocs()
			for b.Loop() {
				p, r := frame.Parse(f)
				if r != frame.ReasonOK {
					b.Fatal(r)
				}
				sinkInt = p.PayloadLen
			}
		})
	}
}

func BenchmarkVerifyChecksums(b *testing.B) {
	for _, bench := range benchFlows {
		b.Run(bench.name, func(b *testing.B) {
			f := build(b, bench.flow, pattern(64), 1)
			p, _ := frame.Parse(f)
			b.ReportAllocs()
			for b.Loop() {
				if r := frame.VerifyChecksums(f, &p); r != frame.ReasonOK {
					b.Fatal(r)
				}
			}
		})
	}
}

// sink and sinkInt keep results alive.
var (
	sink    uint16
	sinkInt int
)
