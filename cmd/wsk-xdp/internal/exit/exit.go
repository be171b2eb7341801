// SPDX-License-Identifier: Apache-2.0

package exit

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Exit codes of wsk-xdp.
const (
	Done        = 0 // also after an interrupt from the keyboard
	Runtime     = 1 // something failed while it ran
	Usage       = 2 // the command line is wrong
	NotPossible = 3 // this machine, interface or user can't do it
	Beyond      = 4 // a figure is beyond the threshold that was set
)

// Meanings are the exit codes and what they say, for people.
func Meanings() iter.Seq2[int, string] {
	return slices.All([]string{
		Done:        "Done, also after an interrupt from the keyboard",
		Runtime:     "Something failed while it ran, or nothing arrived",
		Usage:       "The command line is wrong",
		NotPossible: "Not possible on this machine, interface or for this user, or not without --force",
		Beyond:      "A figure is beyond --threshold, or a condition of --fail-if holds",
	})
}

// Error carries an exit code. Its text is that of what it wraps.
type Error struct {
	Code int
	Err  error
}

// Error is the text of the cause.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Usagef is an error in the command line.
func Usagef(format string, args ...any) error { return &Error{Usage, fmt.Errorf(format, args...)} }

// NotPossiblef is an error of something that this machine, interface or user can't do.
func NotPossiblef(format string, args ...any) error {
	return &Error{NotPossible, fmt.Errorf(format, args...)}
}

// Beyondf is an error of a figure that is beyond a threshold.
func Beyondf(format string, args ...any) error { return &Error{Beyond, fmt.Errorf(format, args...)} }

// Code is the exit code for an error, Runtime where none was given.
func Code(err error) int {
	if err == nil {
		return Done
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Runtime
}
