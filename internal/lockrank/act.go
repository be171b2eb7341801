// SPDX-License-Identifier: Apache-2.0

package lockrank

// An Act is a set of things to be done under some locks and not under others, such as a kind of system call. Whoever
// makes the table gives the bits their meaning.
type Act uint32

const (
	Nothing  Act = 0
	Anything     = ^Nothing
)
