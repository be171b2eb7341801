// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// dumpTries bounds how often Dump reads a table that keeps changing. One more try is some microseconds, and each needs
// another change in the midst of it.
const dumpTries = 100

// Dump reads a whole netlink table with list, again as long as the kernel says that the table changed while it was
// being read (NLM_F_DUMP_INTR, which makes list return [netlink.ErrDumpInterrupted] and what it had by then). What is
// returned without an error was so at one moment. Kernels differ in when they say so: Linux 6.1 marks a dump of
// addresses when any device or address of the namespace changes meanwhile, 6.18 nearly never.
func Dump[T any](list func() ([]T, error)) ([]T, error) {
	var err error
	for range dumpTries {
		var all []T
		if all, err = list(); err == nil {
			return all, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("read %d times: %w", dumpTries, err)
}
