// SPDX-License-Identifier: Apache-2.0

package send

import "fmt"

// Audit is invariant I1, for tests: with nothing under way every chunk is in the pool, once. Of a queue without a socket it
// says nothing.
func Audit(q *Queue) error {
	q.Mu.Lock()
	defer q.Mu.Unlock()
	if q.State == QueueGone || q.State == QueueBroken {
		return nil
	}
	seen := make(map[uint32]bool)
	for _, idx := range q.Free {
		if seen[idx] {
			return fmt.Errorf("queue %d: chunk %d is in the pool twice", q.Id, idx)
		}
		seen[idx] = true
	}
	for i := range q.Slots {
		if q.Slots[i].Op != nil {
			return fmt.Errorf("queue %d: slot %d still names an operation", q.Id, i)
		}
	}
	if len(q.Free) != len(q.Slots) || q.Inflight != 0 || q.Waiting.N != 0 {
		return fmt.Errorf("queue %d: %d of %d chunks in the pool, %d with the kernel, %d operations waiting",
			q.Id, len(q.Free), len(q.Slots), q.Inflight, q.Waiting.N)
	}
	return nil
}
