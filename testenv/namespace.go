// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrClosed is returned by operations on a namespace, lab or judge that was closed.
var ErrClosed = errors.New("testenv: already closed")

const threadNetNS = "/proc/thread-self/ns/net"

// Namespace is a network namespace held by a file descriptor. An anonymous one dies with its last reference: this
// descriptor, the sockets made in it and the threads that are in it.
//
// All methods may be called concurrently.
type Namespace struct {
	name string

	mu     sync.Mutex // guards what follows
	fd     int
	handle *netlink.Handle
}

// NewNamespace creates an anonymous network namespace with lo up, IPv6 duplicate address detection and reverse path
// filters off, so that addresses can be used at once and any test traffic passes.
//
// It needs CAP_SYS_ADMIN in the current user namespace; the error wraps EPERM and names the remedy otherwise.
func NewNamespace() (*Namespace, error) {
	ns, err := newRawNamespace()
	if err != nil {
		return nil, err
	}
	if err := ns.prepare(); err != nil {
		ns.Close()
		return nil, err
	}
	return ns, nil
}

func newRawNamespace() (*Namespace, error) {
	fd := -1
	err := onThread(
		func() error { return unix.Unshare(unix.CLONE_NEWNET) },
		func() (err error) {
			fd, err = openNetNS(threadNetNS)
			return err
		})
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, fmt.Errorf("create network namespace: %w%s", err, privilegeHint(err))
	}
	return &Namespace{fd: fd}, nil
}

// CurrentNamespace returns the namespace of the calling process, as its main thread sees it.
func CurrentNamespace() (*Namespace, error) {
	fd, err := openNetNS("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	return &Namespace{fd: fd}, nil
}

// OpenNamespace opens the namespace that has a name in /run/netns. Closing it does not remove the name.
func OpenNamespace(name string) (*Namespace, error) {
	if err := checkNamespaceName(name); err != nil {
		return nil, err
	}
	fd, err := openNetNS(namespacePath(name))
	if err != nil {
		return nil, err
	}
	return &Namespace{name: name, fd: fd}, nil
}

func openNetNS(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open network namespace: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	return fd, nil
}

// Name returns the name in /run/netns, "" for an anonymous namespace.
func (n *Namespace) Name() string { return n.name }

// FD returns the descriptor that refers to the namespace, -1 when closed. It stays the property of n.
func (n *Namespace) FD() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fd
}

// Handle returns the descriptor in the form of package netns. It stays the property of n: do not close it.
func (n *Namespace) Handle() netns.NsHandle { return netns.NsHandle(n.FD()) }

// Inode returns the inode number of the namespace, which names it among all namespaces that live at this moment.
func (n *Namespace) Inode() (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fd < 0 {
		return 0, ErrClosed
	}
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return 0, fmt.Errorf("stat network namespace: %w", err)
	}
	return st.Ino, nil
}

// Netlink returns a routing netlink handle whose sockets are in the namespace, so that most work needs no thread
// switch. It is made on first use, shared, and closed by Close; it may be used concurrently.
func (n *Namespace) Netlink() (*netlink.Handle, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fd < 0 {
		return nil, ErrClosed
	}
	if n.handle != nil {
		return n.handle, nil
	}
	fd := n.fd
	var h *netlink.Handle
	err := onThread(
		func() error { return unix.Setns(fd, unix.CLONE_NEWNET) },
		func() (err error) {
			h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	n.handle = h
	return h, nil
}

// Do runs f on an operating system thread that is in the namespace and puts the thread back. Goroutines that f starts
// are not in the namespace; sockets that f makes stay in it. f must not call runtime.LockOSThread.
//
// The error is that of f. A panic in f is raised again in the caller. If f ends its goroutine (t.FailNow does), Do
// returns an error, so use t.Error inside f. A thread that cannot be put back is abandoned, and f's result still
// holds.
func (n *Namespace) Do(f func() error) error {
	n.mu.Lock()
	if n.fd < 0 {
		n.mu.Unlock()
		return ErrClosed
	}
	// A duplicate lets Close run while f does.
	fd, err := unix.FcntlInt(uintptr(n.fd), unix.F_DUPFD_CLOEXEC, 0)
	n.mu.Unlock()
	if err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer unix.Close(fd)
	return onThread(func() error { return unix.Setns(fd, unix.CLONE_NEWNET) }, f)
}

// Socket makes a socket in the namespace. SOCK_CLOEXEC is added to typ. The caller owns the descriptor.
func (n *Namespace) Socket(domain, typ, proto int) (int, error) {
	fd := -1
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(domain, typ|unix.SOCK_CLOEXEC, proto)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("open socket (family %d, type %d): %w", domain, typ, err)
	}
	return fd, nil
}

// Close gives up the descriptor and the netlink handle; the name of a named namespace stays. A second Close does
// nothing.
func (n *Namespace) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fd < 0 {
		return nil
	}
	if n.handle != nil {
		n.handle.Close()
		n.handle = nil
	}
	err := unix.Close(n.fd)
	n.fd = -1
	return err
}
