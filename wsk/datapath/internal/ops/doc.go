// SPDX-License-Identifier: Apache-2.0

// Package ops holds the operations that are on their way: lists that link them without allocating, and the trampoline that
// completes them with no lock held. It knows nothing of where an operation goes, and starts no goroutine of its own.
//
//	lock            guards          taken after                      held over
//	Completions.mu  what is queued  any lock of the other packages   nothing: it is let go for each completion routine
package ops
