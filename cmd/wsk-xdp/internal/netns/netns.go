// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namedDir is where iproute2 keeps named namespaces.
const namedDir = "/run/netns"

const threadNetNS = "/proc/thread-self/ns/net"

// NS is an open network namespace. nil means the process's own.
type NS struct {
	fd   int
	name string
}

// ErrNotAllowed is found by errors.Is in the error of a namespace that this process may not open or enter.
var ErrNotAllowed = errors.New("needs CAP_SYS_ADMIN: sudo")

// Open opens a namespace by its name (ip netns list) or by a path. An empty name gives nil.
func Open(name string) (*NS, error) {
	if name == "" {
		return nil, nil
	}
	path := name
	if !strings.ContainsRune(name, '/') {
		path = filepath.Join(namedDir, name)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open network namespace %s: %w (%w)", name, err, ErrNotAllowed)
	case err != nil:
		return nil, fmt.Errorf("open network namespace %s: %w (see ip netns list)", name, err)
	}
	if fd == 0 {
		// 0 stands for the process's own namespace wherever a descriptor is passed on.
		fd, err = unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
		unix.Close(0)
		if err != nil {
			return nil, fmt.Errorf("open network namespace %s: %w", name, err)
		}
	}
	return &NS{fd, name}, nil
}

// Borrow is the namespace of a descriptor that stays the caller's: do not close it. 0 gives nil, as [NS.FD] gives 0 for nil.
func Borrow(fd int) *NS {
	if fd == 0 {
		return nil
	}
	return &NS{fd, fmt.Sprintf("of descriptor %d", fd)}
}

// FD is the descriptor, or 0 for the process's own namespace, as datapath.Options wants it.
func (n *NS) FD() int {
	if n == nil {
		return 0
	}
	return n.fd
}

// Close gives up the descriptor.
func (n *NS) Close() error {
	if n == nil {
		return nil
	}
	return unix.Close(n.fd)
}

// Do runs f on a thread that is in the namespace. Goroutines that f starts are not.
func (n *NS) Do(f func() error) error {
	if n == nil {
		return f()
	}
	runtime.LockOSThread()
	back, err := unix.Open(threadNetNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open the thread's network namespace: %w", err)
	}
	defer unix.Close(back)
	if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w (%w)", n.name, err, ErrNotAllowed)
	}
	err = f()
	if unix.Setns(back, unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	// A thread that cannot go back stays locked: it ends with this goroutine.
	return err
}
