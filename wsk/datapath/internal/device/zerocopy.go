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

	ever    bool  // it was granted on some queue
	missing error // why the driver has none at all
	until   time.Time
}

type zeroCopyQueue struct {
	granted bool
	refused time.Time // when a rebuild was first refused what had been granted
}

const (
	// zeroCopyRetry is how long the rebuild of a zero-copy queue is repeated before copy mode will do: a driver in the
	// middle of a reset refuses what it grants a moment later.
	zeroCopyRetry = 5 * time.Second
	// missingPause is how long a driver without zero-copy is not asked again. What a driver has can change while the
	// device lives: mlx5 withdraws XDP while hardware GRO is on, and a bond has what all its ports have.
	missingPause = 10 * time.Minute
)

// noteMissing notes that a driver has no zero-copy, by its own word and by the bind that it refused: the other queues
// need not be tried for a while, which would cost each of them some milliseconds.
func (z *zeroCopy) noteMissing(why error, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.missing, z.until = why, now.Add(missingPause)
}

// reasonMissing is the reason not to try zero-copy now.
func (z *zeroCopy) reasonMissing(now time.Time) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if !now.Before(z.until) {
		z.missing = nil
	}
	return z.missing
}

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
