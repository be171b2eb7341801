// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os/user"
	"strconv"
)

// Host is what Parse has to know of the host.
type Host struct {
	User      func(name string) (uid uint32, err error) // nil: package os/user
	Group     func(name string) (gid uint32, err error) // nil: package os/user
	Units     bool                                      // the units of a process can be told
	MaxMemory uint64                                    // bytes for all grants together; 0: no bound
	MaxFiles  int                                       // descriptors for the clients of all grants together; 0: no bound
}

func localUser(name string) (uint32, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return parseID(u.Uid)
}

func localGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return parseID(g.Gid)
}

func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	return uint32(id), err
}
