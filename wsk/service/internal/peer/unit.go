// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

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

// groupsMost is how many groups are looked at. It bounds the work that somebody can make who may create groups.
const groupsMost = 1 << 16

var errNoGroup = errors.New("it is not in the tree, or is hidden there")

// looks are the looks through the tree of control groups. Somebody who makes groups without number, and a client in each,
// makes each look long and has one made for each client. So there is one at a time for all who wait, and nobody waits for
// more than two; and who is in a group that the last one has found waits for none. A group that has been found is where it
// always was: it can't be moved, and its number is not used again.
type looks struct {
	begun atomic.Uint64
	found atomic.Pointer[map[uint64][]string] // by the last one: the units of each group

	mu sync.Mutex // held during a look
}

// looksHere are those through the tree of this host.
var looksHere looks

// unitsOf are the units that a control group belongs to: the slices that it is in, and the service or scope.
func (l *looks) unitsOf(root string, id uint64) ([]string, error) {
	return l.unitsSince(l.begun.Load(), root, id)
}

// unitsSince is unitsOf for who has come when so many looks had begun: one that began before may have passed the place of
// the group when there was none.
func (l *looks) unitsSince(begun uint64, root string, id uint64) ([]string, error) {
	if units, ok := l.known(id); ok {
		return units, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun.Load() == begun {
		l.begun.Add(1)
		found := lookThrough(root)
		l.found.Store(&found)
	}
	if units, ok := l.known(id); ok {
		return units, nil
	}
	return nil, errNoGroup
}

func (l *looks) known(id uint64) (units []string, ok bool) {
	if found := l.found.Load(); found != nil {
		units, ok = (*found)[id]
	}
	return units, ok
}

// lookThrough finds the units of all groups. They are looked through level by level, so that nobody's deep tree stands
// before the groups of the system's own units.
func lookThrough(root string) map[uint64][]string {
	found := make(map[uint64][]string)
	line := []group{{path: root, inSlices: true}}
	for looked := 0; len(line) > 0 && looked < groupsMost; looked++ {
		g := line[0]
		line = line[1:]
		var st unix.Stat_t
		if unix.Lstat(g.path, &st) != nil {
			continue // it has been removed meanwhile
		}
		found[st.Ino] = g.units
		g.inSlices = g.inSlices && st.Uid == 0 && st.Mode&0o022 == 0
		entries, _ := os.ReadDir(g.path) // one that may not be read hides its own and nobody else's
		for _, e := range entries {
			if e.IsDir() {
				line = append(line, g.below(e.Name()))
			}
		}
	}
	return found
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
	units, err := looksHere.unitsOf(root, id)
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
