// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"runtime"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// heap is how much is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// As many runs as there may be at once, each with as many streams as there may be, take no more memory than docs/cli.md says; what
// there is no room for is counted, and the memory is there again for the next ones.
func TestManyStreamsTakeBoundedMemory(t *testing.T) {
	sink, err := NewSink(1<<16, VerifyPayload)
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	for run := range uint16(MaxRuns) {
		for stream := range uint16(stamp.Streams) {
			give(sink, stamp.Stamp{Run: run, Stream: stream})
		}
	}
	took, most := heap()-before, int64(WindowBytes+4<<20)
	t.Logf("%d runs of %d streams: %d bytes", MaxRuns, stamp.Streams, took)
	if took > most {
		t.Errorf("%d bytes, more than %d", took, most)
	}
	c := sink.Counts()
	if c.Received+c.Refused != MaxRuns*stamp.Streams || c.Refused == 0 || sink.Totals().Foreign != 0 {
		t.Errorf("%+v, %+v", c, sink.Totals())
	}
	age(sink, stillness)
	for run := range uint16(MaxRuns) {
		give(sink, stamp.Stamp{Run: 1000 + run}) // each takes the place of another
	}
	if c := sink.Counts(); c.Received != sink.Totals().Packets-c.Refused {
		t.Errorf("%+v, %+v", c, sink.Totals())
	}
	if took := heap() - before; took > most {
		t.Errorf("%d bytes with the next runs", took)
	}
	runtime.KeepAlive(sink)
}

// A receiver on a kernel socket has one buffer to read into, so that 64 of them take 64 of those.
func TestReceiversTakeLittleMemory(t *testing.T) {
	before := heap()
	var all []*messageBuffers
	for range 64 {
		all = append(all, newMessages())
	}
	took := heap() - before
	t.Logf("64 receivers read into %d bytes", took)
	if most := int64(64 * (messages*(maxRead+128) + 4<<10)); took > most {
		t.Errorf("%d bytes, more than %d", took, most)
	}
	runtime.KeepAlive(all)
}
