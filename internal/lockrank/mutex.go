// SPDX-License-Identifier: Apache-2.0

//go:build !race

package lockrank

import "sync"

// A Mutex is a mutual exclusion lock of the rank that R names. The zero value is unlocked. It must not be copied after
// first use.
type Mutex[R Ranked] struct{ sync.Mutex }

// AssertHeld says that the calling goroutine holds m.
func (m *Mutex[R]) AssertHeld() {}

// Ranked is a type whose only use is to name a rank as a type parameter. Its zero value must be ready.
type Ranked interface{ Rank() *Rank }

// A Rank is a lock's place in the order.
type Rank struct{}

// New makes a rank. Locks of it may be held over the acts given and no others, and may be taken while locks of the
// ranks in after are held, and of those after which these are taken, and no others. It is meant for package variables.
func New(name string, over Act, after ...*Rank) *Rank { return nil }

// AssertMay says that what follows is done under no lock that is not to be held over it. What says what that is, for
// the message.
func AssertMay(act Act, what string) {}

// AssertNoneHeld says that the calling goroutine holds no lock with a rank, whatever it may be held over: what follows
// may do anything, such as call back in. What says what that is, for the message.
func AssertNoneHeld(what string) {}
