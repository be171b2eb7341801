// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/netns"
)

// namedDir is where iproute2 keeps named namespaces.
const namedDir = "/run/netns"

// NS is an open network namespace. nil means the process's own.
type NS struct {
	fd   int
	name string
}

// ErrNotAllowed is found by errors.Is in the error of a namespace that this process may not open or enter.
var ErrNotAllowed = errors.New("needs CAP_SYS_ADMIN: sudo")

// Names are those of the namespaces that have names, in order, as far as they can be read.
func Names() (names []string) {
	entries, err := os.ReadDir(namedDir)
	if err != nil {
		return nil // there are none, or they are not for this user
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Open opens a namespace by its name (ip netns list) or by a path. An empty name gives nil.
func Open(name string) (*NS, error) {
	if name == "" {
		return nil, nil
	}
	path := name
	if !strings.ContainsRune(name, '/') {
		path = filepath.Join(namedDir, name)
	}
	fd, err := netns.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open network namespace %s: %w (%w)", name, err, ErrNotAllowed)
	case err != nil:
		return nil, fmt.Errorf("open network namespace %s: %w (see ip netns list)", name, err)
	}
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		unix.Close(fd)
		return nil, fmt.Errorf("%s is no network namespace: name one of ip netns list, or a file such as /proc/PID/ns/net", name)
	}
	return &NS{fd, name}, nil
}

// Borrow is the namespace of a descriptor that stays the caller's: do not close it. 0 gives nil, as [NS.FD] gives 0 for
// nil.
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

// Do runs f on a thread that is in the namespace, as [netns.Do] of the datapath does. Goroutines that f starts are not.
func (n *NS) Do(f func() error) error {
	if n == nil {
		return f()
	}
	entered := false
	err := netns.Do(n.fd, func() error {
		entered = true
		return f()
	})
	var refused *netns.EnterError
	if !entered && errors.As(err, &refused) {
		return fmt.Errorf("enter network namespace %s: %w (%w)", n.name, refused.Err, ErrNotAllowed)
	}
	return err
}
