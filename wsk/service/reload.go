// SPDX-License-Identifier: Apache-2.0

package service

import (
	"maps"
	"slices"
)

// PolicyChanged puts a policy in force for the clients that are there, after it was reloaded: limits count at once, but
// take nothing away that is in use; a session without a grant is told, and ends after a second; a socket whose address
// is not granted any more is dead; and each destination is decided about anew before anything else leaves for it.
func (s *Server) PolicyChanged() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.grants.adopt(s.config.Policy.Load())
	s.mu.Lock()
	list := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	for _, n := range list {
		n.regrant()
	}
	if s.config.Recheck != nil {
		s.config.Recheck()
	}
}
