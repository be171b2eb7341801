// SPDX-License-Identifier: Apache-2.0

package send

import "time"

// Reconsider is called when routes have changed: what waits for a neighbour that is not the one to ask any more has its way looked
// for anew at once, instead of failing with a neighbour that nobody wants. It does not block.
func (h *Host) Reconsider() {
	if h.searches.begin() {
		h.GoRun(h.reconsider)
	}
}

// reconsider looks at everything that is parked, until the routes have not changed meanwhile. Each look asks the routing table; so
// it rests for as long as it has taken, for the sake of those who ask there too.
func (h *Host) reconsider() {
	for parked := h.searches.next(); parked != nil; parked = h.searches.next() {
		began := time.Now()
		for _, s := range parked {
			if !s.still() {
				s.giveUp(errAnotherWay)
			}
		}
		rest := time.NewTimer(time.Since(began))
		select {
		case <-rest.C:
		case <-h.Ctx.Done():
			rest.Stop()
		}
	}
}
