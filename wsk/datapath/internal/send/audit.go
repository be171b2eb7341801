// SPDX-License-Identifier: Apache-2.0

package send

import "fmt"

// Audit is invariant I1, for tests: with nothing under way every chunk is in the pool, once. Of a queue without a socket it
// says nothing.
func Audit(q *Queue) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state == queueGone || q.state == queueBroken {
		return nil
	}
	if err := q.tx.audit(); err != nil {
		return fmt.Errorf("queue %d: %w", q.id, err)
	}
	if q.waiting.N != 0 {
		return fmt.Errorf("queue %d: %d operations waiting", q.id, q.waiting.N)
	}
	return nil
}
