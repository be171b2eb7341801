// SPDX-License-Identifier: Apache-2.0

package device

// LookForOthers looks who else gets what comes in on the interfaces that are received on. Devices on top of one can be in other
// namespaces, as the macvlan of a container is, and get groups and broadcasts. Nothing announces them there, so the janitor looks.
func (set *Set) LookForOthers() {
	for _, p := range set.Programs() {
		if p.lookForOthers() {
			p.Refresh()
		}
	}
}
