// SPDX-License-Identifier: Apache-2.0

package testenv

import "golang.org/x/sys/unix"

// DropCapabilities takes effective capabilities from the calling thread, which must be locked to its goroutine: those
// named, or all when none is. regain gives back what there was; a test whose thread is not used again needs no call of
// it.
func DropCapabilities(these ...uint) (regain func() error, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		return nil, err
	}
	without := before
	for _, c := range these {
		without[c/32].Effective &^= 1 << (c % 32)
	}
	if len(these) == 0 {
		without[0].Effective, without[1].Effective = 0, 0
	}
	if err := unix.Capset(&header, &without[0]); err != nil {
		return nil, err
	}
	return func() error { return unix.Capset(&header, &before[0]) }, nil
}
