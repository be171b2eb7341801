// SPDX-License-Identifier: Apache-2.0

package device

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// zeroCopy remembers what became of zero-copy on the queues of a device.
type zeroCopy struct {
	mu     lockrank.Mutex[locks.ZeroCopyMu]
	queues map[int]zeroCopyQueue

	ever bool // it was granted on some queue
}

type zeroCopyQueue struct {
	granted bool
	refused time.Time // when a rebuild was first refused what had been granted
}

// zeroCopyRetry is how long the rebuild of a zero-copy queue is repeated before copy mode will do: a driver in the
// middle of a reset refuses what it grants a moment later.
const zeroCopyRetry = 5 * time.Second

func (z *zeroCopy) noteGranted(queue int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.queues == nil {
		z.queues = make(map[int]zeroCopyQueue)
	}
	z.queues[queue] = zeroCopyQueue{granted: true}
	z.ever = true
}

func (z *zeroCopy) everGranted() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.ever
}

// hadGranted reports whether a queue had zero-copy, and is to have it again.
func (z *zeroCopy) hadGranted(queue int) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.queues[queue].granted
}

// retry reports whether a queue that was refused zero-copy should be tried again rather than be opened in copy mode.
func (z *zeroCopy) retry(queue int, now time.Time) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := z.queues[queue]
	switch {
	case !q.granted:
		return false
	case q.refused.IsZero():
		z.queues[queue] = zeroCopyQueue{granted: true, refused: now}
		return true
	case now.Sub(q.refused) < zeroCopyRetry:
		return true
	}
	delete(z.queues, queue)
	return false
}
