// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"fmt"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"
)

// unknownSpeed is what drivers say of a link that is down, or that has no speed.
const unknownSpeed = 1<<32 - 1

// Speed is the speed of an interface's link in bits a second, in the network namespace of the calling thread. It is an
// error where the driver knows none. What drivers of virtual interfaces say is made up.
func Speed(ifname string) (uint64, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return 0, fmt.Errorf("ask for the speed of %s: %w", ifname, err)
	}
	defer e.Close()
	s, err := e.GetLinkSettings(ifname)
	switch {
	case err != nil:
		return 0, fmt.Errorf("ask for the speed of %s: %w", ifname, err)
	case s.Speed == 0 || s.Speed == unknownSpeed || s.Speed == 1<<16-1:
		return 0, fmt.Errorf("the speed of %s is not known: %w", ifname, unix.ENODATA)
	}
	return uint64(s.Speed) * 1_000_000, nil
}
