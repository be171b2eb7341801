// SPDX-License-Identifier: Apache-2.0

package send

// never is no generation of the routing tables: a path that has it is looked up again before anything else takes it.
const never = ^uint64(0)

// Recheck has the guard asked again about every destination. What has been handed over goes on as it was; what comes after
// the call goes by the new verdict.
func (s *Source) Recheck() {
	if s.Guard == nil {
		return
	}
	s.flows.each(func(f *Flow) {
		f.withdrawn.Add(1) // a look that has begun may have asked before
		for p := f.path.Load(); p != nil; p = f.path.Load() {
			old := *p
			old.generation, old.standing = never, nil
			if f.path.CompareAndSwap(p, &old) {
				return
			}
		}
	})
}
