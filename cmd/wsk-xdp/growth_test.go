// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// peak is how much more of the heap was in use while f ran than before, as far as looking at it every few milliseconds tells.
func peak(f func()) (bytes int64) {
	inUse := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, done := inUse(), make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			bytes = max(bytes, inUse()-before)
		case <-done:
			return bytes
		}
	}
}

// As many flows as there may be take no more memory than docs/cli.md says.
func TestManyFlowsTakeBoundedMemory(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	_, netns := lab(t, testenv.Topology{NoIPv6: true, Neighbours: testenv.Static, PeerXDP: testenv.XDPDrop})
	for _, c := range []struct {
		name string
		most int64
		args []string
	}{
		{"one flow", 16 << 20, []string{"--flows", "1"}},
		{"65,536 flows of 1,024 sockets", 64 << 20, []string{"--flows", "65536", "--dst-port", "9000-9063", "--src-port", "20000-21023"}},
		{"ten million prepared flows", 16 << 20, []string{"--engine", "frames", "--flows", "10000000", "--src", "10.0.0.0/8"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r result
			took := peak(func() {
				r = cli(timeout(t), append([]string{"blast", netns, "10.77.0.2:9000", "-n", "65536", "-d", "0", "-r", "max", "--force", "-q", "--json"},
					c.args...)...)
			})
			r.want(t, 0)
			if doc := decode[blast.Report](t, r); doc.Totals.Submitted != 65536 {
				t.Errorf("%+v", doc.Totals)
			}
			t.Logf("%d bytes", took)
			if took > c.most {
				t.Errorf("%d bytes, more than %d", took, c.most)
			}
		})
	}
}
