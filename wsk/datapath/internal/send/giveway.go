// SPDX-License-Identifier: Apache-2.0

package send

// GiveWay forgets flows in favour of shared ones that do as well: those of destinations that were asked for one by one, before the
// routes were known.
func (s *Source) GiveWay() {
	t := &s.flows
	t.mu.Lock()
	few := len(t.all) <= keptFlows
	t.mu.Unlock()
	if few || !t.shared.any.Load() {
		return
	}
	t.each(func(f *Flow) {
		if p := f.path.Load(); f.isLikeShared(p) {
			t.dissolve(f, p)
		}
	})
}

// isLikeShared reports whether a datagram would leave by a shared flow as it does by the path p of this one, and in order with what
// has left by that.
func (f *Flow) isLikeShared(p *Path) bool {
	if p == nil || p.queue == nil || !p.until.IsZero() || p.local.IsValid() && f.isTracked(p) {
		return false
	}
	_, like, _, _ := f.src.leads(&f.to, false)
	return like != nil && like.queue == p.queue && like.mtu == p.mtu
}
