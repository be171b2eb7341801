// SPDX-License-Identifier: Apache-2.0

// Package lockrank has a mutex that knows its place in the lock order, and checks under the race detector what the order
// says: which lock is taken while which others are held, what is done while one is held, and who unlocks. Without -race
// the mutex is a [sync.Mutex] and every check is an empty function.
//
// A package, or several together, write their order down as a table in one file:
//
//	var ( //                 held over               taken after
//		kickMu  = lockrank.New("queue.kickMu", Kick)
//		queueMu = lockrank.New("queue.mu", lockrank.Nothing, kickMu)
//		flowMu  = lockrank.New("flow.mu", lockrank.Nothing, queueMu)
//	)
//
//	const Kick lockrank.Act = 1 << iota // the system call that makes the kernel transmit
//
//	type QueueMu struct{}
//
//	func (QueueMu) Rank() *lockrank.Rank { return queueMu }
//
// and name the rank where the lock is declared. The zero value is an unlocked mutex, there is nothing to initialise:
//
//	type queue struct {
//		mu    lockrank.Mutex[locks.QueueMu]
//		slots []slot // guarded by mu
//	}
//
// From then on a test that runs with -race panics, in the first run and whether or not a second goroutine is there to
// make it a deadlock, with the names of the locks and the lines where they were taken, when
//
//   - a lock is taken while one is held that it is not to be taken after. "After" is transitive: flow.mu may be taken
//     while queue.kickMu is held. Two locks of one rank are never held together. An order that goes in a circle does not
//     compile: it is an initialisation cycle;
//   - [AssertMay] stands before something, a system call say, that a lock which is held is not to be held over;
//   - [AssertNoneHeld] stands before the code of a stranger, and any ranked lock is held;
//   - [Mutex.AssertHeld] stands at the head of a function whose caller must hold the lock, and he does not;
//   - a goroutine unlocks what another one has locked. It must not end with a lock held, either: the runtime uses what
//     stood for it again, and the next goroutine would be taken for the holder.
//
// TryLock does not wait, so it is never part of a deadlock: it may be called whatever is held. What it has taken counts
// like any other lock.
//
// # What it does not do
//
// It does not find out whether a field is touched without its lock: the race detector does, and AssertHeld says it where
// only one goroutine comes by in a test. It sees what tests run, not all that could be. It gives the race detector no
// order of its own between goroutines, so it hides no race.
//
// An analyser over annotations, such as gVisor's checklocks, proves the guarding of fields without running anything, but
// knows nothing of orders between packages and of system calls, which are the rules that this project broke; and gVisor
// too has its order checked at run time. There it is learned, so that both orders have to be seen; here it is declared.
package lockrank
