// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"maps"
	"slices"
)

// stamps number the devices: one has another number as soon as what is made for its frames may have to be made anew,
// because it is another device or not what it was, or because its frames enter the kernel elsewhere or differently. No
// number comes twice. What has one number has one Device but for its state, and one answer of Transmit to each hop.
type stamps struct {
	last uint64
	of   map[int]uint64 // by device; 0: there is none
}

// stamp numbers the devices that are not what they were in prev, of which remade are those that have changed
// themselves; without prev, all. The devices of s are there already.
func (s *snapshot) stamp(prev *snapshot, remade map[int]struct{}) {
	if prev != nil && len(remade) == 0 {
		return // s has the numbers of prev
	}
	s.stamps.of = map[int]uint64{}
	renew := func(index int) {
		s.stamps.last++
		s.stamps.of[index] = s.stamps.last
	}
	if prev == nil {
		for index := range s.devices {
			renew(index)
		}
		return
	}
	maps.Copy(s.stamps.of, prev.stamps.of)
	for index := range remade {
		if s.devices[index] == nil {
			delete(s.stamps.of, index)
		} else {
			renew(index)
		}
	}
	for index := range s.above(prev.devices, remade) {
		if s.devices[index] != nil && !s.entersAs(prev, index, remade) {
			renew(index)
		}
	}
}

// above are the devices that stand on some of a set, or have some of it for ports, or had, but for the set itself.
func (s *snapshot) above(before map[int]*Device, set map[int]struct{}) map[int]struct{} {
	found, seen := map[int]struct{}{}, maps.Clone(set)
	note := func(index int) {
		if _, ok := seen[index]; !ok && index != 0 {
			seen[index], found[index] = struct{}{}, struct{}{}
		}
	}
	for size := -1; size != len(seen); {
		size = len(seen)
		for _, devices := range []map[int]*Device{before, s.devices} {
			for index, d := range devices {
				if _, ok := seen[index]; ok {
					note(d.Master)
				}
				if _, ok := seen[d.Parent]; ok {
					note(index)
				}
			}
		}
	}
	return found
}

// entersAs reports whether frames of a device enter the kernel as they did in prev.
func (s *snapshot) entersAs(prev *snapshot, index int, remade map[int]struct{}) bool {
	for _, group := range []bool{false, true} {
		for _, priority := range tosPriorities {
			now := walk{snapshot: s, group: group, priority: priority}
			e, o := now.down(s.devices[index], nil, maxStack)
			if _, other := remade[e.Device.Index]; other {
				return false
			}
			before := walk{snapshot: prev, group: group, priority: priority}
			was, obstacle := before.down(prev.devices[index], nil, maxStack)
			if o != obstacle || !e.Device.samePath(was.Device) || !slices.Equal(e.VLANs, was.VLANs) {
				return false
			}
		}
	}
	return true
}
