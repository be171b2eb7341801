// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"
	"time"
)

// tally checks that numbered datagrams arrive whole and once, and keeps senders from overrunning receive buffers.
type tally struct {
	t       *testing.T
	mu      sync.Mutex
	changed *sync.Cond
	seen    map[int]bool
	late    bool
	timer   *time.Timer
}

// window is how many datagrams may be under way. Small enough for the default buffer of every implementation.
const window = 64

func newTally(t *testing.T) *tally {
	y := &tally{t: t, seen: make(map[int]bool)}
	y.changed = sync.NewCond(&y.mu)
	y.timer = time.AfterFunc(waitLimit, func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		y.late = true
		y.changed.Broadcast()
	})
	t.Cleanup(func() { y.timer.Stop() })
	return y
}

// numbered is the payload of a datagram with a number.
func numbered(i int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(i))
	return append(b, Pattern(4+i%50)...)
}

// note records a payload. Empty ones do not count.
func (y *tally) note(b []byte) {
	if len(b) == 0 {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(b) < 4 {
		y.t.Errorf("a datagram of %d bytes", len(b))
		return
	}
	i := int(binary.LittleEndian.Uint32(b))
	if !bytes.Equal(b, numbered(i)) {
		y.t.Errorf("datagram %d is damaged: % x", i, b)
		return
	}
	if y.seen[i] {
		y.t.Errorf("datagram %d came twice", i)
	}
	y.seen[i] = true
	y.changed.Broadcast()
}

// room waits until the i-th datagram may be sent. It reports false when that takes too long.
func (y *tally) room(i int) bool { return y.atLeast(i - window) }

// wait waits for n datagrams.
func (y *tally) wait(n int) {
	y.t.Helper()
	if !y.atLeast(n) {
		y.t.Errorf("%d of %d datagrams came", len(y.seen), n)
	}
}

func (y *tally) atLeast(n int) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	for len(y.seen) < n && !y.late {
		y.changed.Wait()
	}
	return len(y.seen) >= n
}
