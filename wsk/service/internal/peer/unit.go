// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// groupRoots are where the control groups may be mounted: the second is the place next to version 1.
var groupRoots = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}

// groupRoot is where the whole tree of control groups is mounted. A part of it, as containers see, does not do: what lies
// above would be missing from every path.
func groupRoot() (string, error) {
	const first = 1 // the number of the group above all others
	for _, root := range groupRoots {
		var fs unix.Statfs_t
		var st unix.Stat_t
		if unix.Statfs(root, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC &&
			unix.Stat(root, &st) == nil && st.Ino == first && st.Uid == 0 {
			return root, nil
		}
	}
	return "", fmt.Errorf("the whole tree of cgroup2 is mounted at none of %q", groupRoots)
}

// group is a control group.
type group struct {
	path  string
	units []string // that its processes belong to
	// inSlices says that all groups above are slices where nobody but root makes groups, and it is a slice itself: what
	// lies directly below has the name that systemd gave it. Further down a user's own systemd, or a container, chooses.
	inSlices bool
}

// groupsMost is how many groups are looked at for one client. It bounds the work that somebody can make who may create
// groups.
const groupsMost = 1 << 16

var errNoGroup = errors.New("it is not in the tree, or is hidden there")

// unitsOf are the units that a control group belongs to: the slices that it is in, and the service or scope. The groups
// are looked through level by level, so that nobody's deep tree stands before the groups of the system's own units. A
// group that has been found is where it always was: it can't be moved, and its number is not used again.
func unitsOf(root string, id uint64) ([]string, error) {
	line := []group{{path: root, inSlices: true}}
	for looked := 0; len(line) > 0 && looked < groupsMost; looked++ {
		g := line[0]
		line = line[1:]
		var st unix.Stat_t
		if unix.Lstat(g.path, &st) != nil {
			continue // it has been removed meanwhile
		}
		if st.Ino == id {
			return g.units, nil
		}
		g.inSlices = g.inSlices && st.Uid == 0 && st.Mode&0o022 == 0
		entries, _ := os.ReadDir(g.path) // one that may not be read hides its own and nobody else's
		for _, e := range entries {
			if e.IsDir() {
				line = append(line, g.below(e.Name()))
			}
		}
	}
	return nil, errNoGroup
}

// below is the group of a name in this one.
func (g *group) below(name string) group {
	b := group{path: filepath.Join(g.path, name), units: g.units}
	if !g.inSlices {
		return b
	}
	unit := strings.TrimPrefix(name, "_") // systemd puts it before what could be a file of the kernel's
	switch filepath.Ext(unit) {
	case ".slice":
		b.inSlices = true
		b.units = append(slices.Clip(g.units), unit)
	case ".service", ".scope":
		b.units = append(slices.Clip(g.units), unit)
	}
	return b
}

// units are those of the process that has connected. It is held by its pidfd, so a number that is used again is not
// taken for it. That it is gone is an error too: else it would connect, hand the connection to a child and end, and so be
// in no unit.
func (c *Conn) units() ([]string, error) {
	pidfd := -1
	var err error
	if e := c.raw.Control(func(fd uintptr) {
		pidfd, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	}); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, fmt.Errorf("the process of the client: %w", err)
	}
	defer unix.Close(pidfd)
	id, err := cgroupOf(pidfd)
	if err != nil {
		return nil, fmt.Errorf("the control group of the client: %w", err)
	}
	root, err := groupRoot()
	if err != nil {
		return nil, err
	}
	units, err := unitsOf(root, id)
	if err != nil {
		return nil, fmt.Errorf("the control group of the client, number %d: %w", id, err)
	}
	return units, nil
}

// CanTellUnits reports whether the units of a process can be found.
func CanTellUnits() bool {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(pidfd)
	if _, err = cgroupOf(pidfd); err != nil {
		return false
	}
	_, err = groupRoot()
	return err == nil
}
