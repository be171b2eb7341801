// SPDX-License-Identifier: Apache-2.0

package datapath

// nudge wakes a driver that says it has run dry although there are chunks for it. It may have said so a moment after the
// receiver looked, and would sleep for ever: with no memory it gets no interrupt.
func (r *rxQueue) nudge() {
	s := r.current()
	if s == nil {
		return
	}
	s.fillMu.Lock()
	dry := !s.closed && s.fill.NeedWakeup() && s.fill.Pending() > 0
	s.fillMu.Unlock()
	if dry {
		s.sock.WakeRX()
	}
}
