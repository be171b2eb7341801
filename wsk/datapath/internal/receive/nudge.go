// SPDX-License-Identifier: Apache-2.0

package receive

// Nudge wakes a driver that says it has run dry although there are chunks for it. It may have said so a moment after the
// receiver looked, and would sleep for ever: with no memory it gets no interrupt.
func (r *Queue) Nudge() {
	s := r.Current()
	if s == nil {
		return
	}
	s.FillMu.Lock()
	dry := !s.Closed && s.Fill.NeedWakeup() && s.Fill.Pending() > 0
	s.FillMu.Unlock()
	if dry {
		s.Sock.WakeRX()
	}
}
