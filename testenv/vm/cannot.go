// SPDX-License-Identifier: Apache-2.0

package vm

import "fmt"

// CannotError says that this machine cannot run guests, or not this kind of guest, and why. That is neither success nor
// a failure of what was to be tested.
type CannotError struct {
	reason error
}

// ExitCannot is the exit code for it, as test harnesses have it.
const ExitCannot = 77

// Cannotf makes one, as fmt.Errorf.
func Cannotf(format string, args ...any) error { return &CannotError{fmt.Errorf(format, args...)} }

// Error begins with the words that scripts/vm/fetch.sh has too.
func (e *CannotError) Error() string { return "cannot run guests: " + e.reason.Error() }

// Unwrap returns the reason.
func (e *CannotError) Unwrap() error { return e.reason }
