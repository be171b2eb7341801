// SPDX-License-Identifier: Apache-2.0

// Package locks is the lock order of wsk/datapath and its rooms, in one table: what each lock guards, after which others
// it is taken, and what it is held over. The table is in locks.go, and package lockrank checks it in every test that
// runs with -race.
//
// No lock is held over a delivery or a completion routine.
//
// To add a lock: a rank in the table, a type for it, and a field lockrank.Mutex[locks.Name]. To hold one over more, or to
// take one after more, add that to the table, with the reason; an order that would go in a circle does not compile.
package locks
