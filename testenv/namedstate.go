// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// stateDir holds one record per named lab. /run is emptied at boot, as namespaces are.
const stateDir = "/run/wsk-xdp"

// labState is the record of a named lab.
type labState struct {
	Prefix     string           `json:"prefix"`
	Created    time.Time        `json:"created"`
	Namespaces []namedNamespace `json:"namespaces"`
}

type namedNamespace struct {
	Role  string `json:"role"`
	Name  string `json:"name"`
	Inode uint64 `json:"inode"`
}

// Presence says what is behind a recorded namespace name.
type Presence uint8

const (
	// Absent: nothing has the name.
	Absent Presence = iota
	// Present: the recorded namespace has it.
	Present
	// Unmounted: an empty file, left by a lab whose making was cut short.
	Unmounted
	// Foreign: another namespace, or anything else, has it.
	Foreign
)

// String returns the name in lower case.
func (p Presence) String() string {
	if int(p) < 4 {
		return [...]string{"absent", "present", "unmounted", "foreign"}[p]
	}
	return fmt.Sprintf("presence %d", uint8(p))
}

func (ns namedNamespace) presence() Presence {
	path := namespacePath(ns.Name)
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Absent
	}
	var fsInfo unix.Statfs_t
	if err := unix.Statfs(path, &fsInfo); err != nil {
		return Foreign
	}
	switch {
	case fsInfo.Type == unix.NSFS_MAGIC && st.Ino == ns.Inode:
		return Present
	case fsInfo.Type != unix.NSFS_MAGIC && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0:
		return Unmounted
	}
	return Foreign
}

func statePath(prefix string) string { return filepath.Join(stateDir, "lab-"+prefix+".json") }

// lockState serialises up and down of one lab between processes.
func lockState(prefix string) (unlock func(), err error) {
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return nil, fmt.Errorf("lock lab %s: %w%s", prefix, err, rootHint(err))
	}
	f, err := os.OpenFile(filepath.Join(stateDir, "lab.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock lab %s: %w%s", prefix, err, rootHint(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock lab %s: %w", prefix, err), f.Close())
	}
	return func() { f.Close() }, nil
}

// readState returns an empty state when no lab of the prefix is recorded.
func readState(prefix string) (labState, error) {
	s := labState{Prefix: prefix}
	raw, err := os.ReadFile(statePath(prefix))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read record of lab %s: %w", prefix, err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("read record of lab %s in %s: %w", prefix, statePath(prefix), err)
	}
	for _, ns := range s.Namespaces {
		if err := checkNamespaceName(ns.Name); err != nil {
			return s, fmt.Errorf("read record of lab %s in %s: %w", prefix, statePath(prefix), err)
		}
	}
	s.Prefix = prefix
	return s, nil
}

// write replaces the record in one step, so that a reader sees the old or the new one.
func (s *labState) write() error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write record of lab %s: %w", s.Prefix, err)
	}
	path := statePath(s.Prefix)
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write record of lab %s: %w%s", s.Prefix, err, rootHint(err))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write record of lab %s: %w", s.Prefix, err)
	}
	return nil
}
