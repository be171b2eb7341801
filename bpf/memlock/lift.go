// SPDX-License-Identifier: Apache-2.0

//go:build linux

package memlock

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// mu keeps one caller from putting back what another has just lifted.
var mu sync.Mutex

// Lift calls load, and where that fails with EPERM, once more with RLIMIT_MEMLOCK as high as this process may set it: without
// bound with CAP_SYS_RESOURCE. The limit is of the whole process and is put back before Lift returns; what was loaded
// meanwhile stays. EPERM is also the answer to a lack of privilege; the second call then fails like the first.
//
// load must give back what it made when it fails. Lift may be called concurrently.
func Lift(load func() error) error {
	err := load()
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	old, lifted := lift()
	if !lifted {
		return err
	}
	err = load()
	if e := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old); e != nil {
		return errors.Join(err, fmt.Errorf("put RLIMIT_MEMLOCK back to %d and %d: %w", old.Cur, old.Max, e))
	}
	return err
}

// lift raises the limit and returns what it was, if that is possible.
func lift() (old unix.Rlimit, lifted bool) {
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old) != nil || old.Cur == unix.RLIM_INFINITY {
		return old, false
	}
	if unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}) == nil {
		return old, true
	}
	return old, old.Cur < old.Max && unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: old.Max, Max: old.Max}) == nil
}
