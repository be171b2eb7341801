// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"runtime"
	"testing"
)

// heldBy is how much more memory there is on the heap with what make returns.
func heldBy(make func() any) (bytes int64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(v)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// Memory is bounded whatever the number of flows is: headers of as many as are kept, and of more none (docs/cli.md).
func TestManyFlowsTakeLittleMemory(t *testing.T) {
	for _, c := range []struct {
		flows uint64
		most  int64
	}{{1, 64 << 10}, {1_000, 512 << 10}, {kept, 20 << 20}, {kept + 1, 64 << 10}, {1_000_000, 64 << 10}, {MaxFlows, 64 << 10}} {
		p := plan(t, true, c.flows)
		n := heldBy(func() any {
			m, err := NewMaker(p)
			if err != nil {
				t.Fatal(err)
			}
			return m
		})
		t.Logf("%d flows: %d bytes", c.flows, n)
		if n > c.most {
			t.Errorf("%d flows hold %d bytes, more than %d", c.flows, n, c.most)
		}
	}
}
