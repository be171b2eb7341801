// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// Identity is who a client is.
type Identity struct {
	policy.Identity

	// For people: the process that has connected, which may be gone, and its name, which it chooses itself and which
	// the unit's ProtectProc hides.
	PID  int
	Comm string

	// Err is what has kept InUnit from telling. A rule that names a unit then can't be decided.
	Err error
}

// Identify asks the kernel who is at the other end. listener is the name of the socket through which the client came.
func (c *Conn) Identify(listener string) (*Identity, error) {
	id := new(Identity)
	var err error
	if e := c.raw.Control(func(fd uintptr) { err = id.ask(int(fd)) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, fmt.Errorf("who the client is: %w", err)
	}
	id.Listener = listener
	id.InUnit = func(unit string) bool {
		in, err := c.inUnit(unit)
		id.Err = errors.Join(id.Err, err)
		return in
	}
	return id, nil
}

func (id *Identity) ask(fd int) error {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return err
	}
	id.UID, id.GID, id.PID = cred.Uid, cred.Gid, int(cred.Pid)
	if id.Groups, err = peerGroups(fd); err != nil {
		return err
	}
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id.PID)); err == nil {
		id.Comm = strings.TrimSpace(string(comm))
	}
	return nil
}

// systemUnits is where systemd has the control groups of its units.
const systemUnits = "/sys/fs/cgroup/system.slice"

// inUnit says whether the client's process is in a unit. The process is held by its pidfd, so a number that is used
// again is not taken for it.
func (c *Conn) inUnit(unit string) (bool, error) {
	pidfd := -1
	var err error
	if e := c.raw.Control(func(fd uintptr) {
		pidfd, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	}); e != nil {
		return false, e
	}
	if err != nil {
		return false, fmt.Errorf("the process of the client: %w", err)
	}
	defer unix.Close(pidfd)
	id, err := cgroupOf(pidfd)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the control group of the client: %w", err)
	}
	var st unix.Stat_t
	switch err := unix.Stat(filepath.Join(systemUnits, filepath.Base(unit)), &st); {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("the control group of %s: %w", unit, err)
	}
	return st.Ino == id, nil
}

// CanTellUnits reports whether the kernel tells the control group of a process.
func CanTellUnits() bool {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(pidfd)
	_, err = cgroupOf(pidfd)
	return err == nil
}
