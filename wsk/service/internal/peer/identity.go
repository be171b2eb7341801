// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"fmt"
	"os"
	"slices"
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
	var units []string
	known := false // once: a client does not become another one with the next reload of the policy
	id.InUnit = func(unit string) bool {
		if !known && id.Err == nil {
			units, id.Err = c.units()
			known = id.Err == nil
		}
		return slices.Contains(units, unit)
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
