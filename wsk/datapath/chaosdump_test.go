// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"maps"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// dump is everything that tells why something does not go on. It waits for no lock.
func (rig *chaos) dump() string {
	var b strings.Builder
	rig.dp.devices.EachQueue(func(q *send.Queue) { send.Dump(q, &b) })
	for _, ep := range rig.dp.endpoints.list() {
		send.DumpSource(&ep.source, &b)
	}
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.String()
}

// outcomeCount counts in what operations ended.
type outcomeCount struct {
	mu sync.Mutex
	n  map[wsk.NTSTATUS]int
}

func (o *outcomeCount) add(status wsk.NTSTATUS) {
	o.mu.Lock()
	o.n[status]++
	o.mu.Unlock()
}

func (o *outcomeCount) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	for _, status := range slices.Sorted(maps.Keys(o.n)) {
		fmt.Fprintf(&b, "%v: %d; ", status, o.n[status])
	}
	return b.String()
}
