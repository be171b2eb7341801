// SPDX-License-Identifier: Apache-2.0

package faults

import "time"

// wait lets a fault last. The time is what the fault is, not what it waits for.
func wait(d time.Duration) { time.Sleep(d) }

// steps runs functions until one fails.
func steps(fs ...func() error) error {
	for _, f := range fs {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// lasting is wait as a step.
func lasting(d time.Duration) func() error {
	return func() error { wait(d); return nil }
}

// times repeats a step.
func times(n int, f func() error) func() error {
	return func() error {
		for range n {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	}
}
