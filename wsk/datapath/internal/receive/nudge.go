// SPDX-License-Identifier: Apache-2.0

package receive

// Nudge wakes a driver that says it has run dry although there are chunks for it. It may have said so a moment after
// the receiver looked, and would sleep for ever: with no memory it gets no interrupt.
func (q *Queue) Nudge() {
	r := q.current()
	if r == nil {
		return
	}
	r.fillMu.Lock()
	dry := !r.closed && r.fill.NeedWakeup() && r.fill.Pending() > 0
	r.fillMu.Unlock()
	if dry {
		r.sock.WakeRX()
	}
}
